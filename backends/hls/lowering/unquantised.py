"""A model without what quantises its values; its weights stay as they are."""

from __future__ import annotations

from ....ir.graph import Graph, Node, Tensor
from ....ir.qonnx import QUANTISERS
from .stored import is_stored


def quantises(node: Node) -> bool:
    """Whether a node rounds computed values: a quantiser of QONNX, or a QuantizeLinear."""
    return node.qualified in (*QUANTISERS, "QuantizeLinear") and not is_stored(node.inputs[0])


def without_quantisers(graph: Graph) -> Graph:
    """Return a copy in which whatever reads a quantised value reads the value itself."""
    plain = graph.copy()
    for node in plain.nodes:
        if quantises(node) and node.op != "QuantizeLinear":
            _bypass(plain, node.inputs[0], node.outputs[0])
        elif node.op == "DequantizeLinear" and (source := _quantised(node)) is not None:
            _bypass(plain, source, node.outputs[0])
    plain.clean()
    plain.sort()
    return plain


def _quantised(node: Node) -> Tensor | None:
    """Return what the QuantizeLinear before a DequantizeLinear reads."""
    made = node.inputs[0].producer
    if made is not None and made.op == "Clip":
        made = made.inputs[0].producer
    return made.inputs[0] if made is not None and quantises(made) else None


def _bypass(graph: Graph, source: Tensor, result: Tensor) -> None:
    """Let ``source`` be read where ``result`` was; an output of the model keeps its name."""
    graph.replace_uses(result, source)
    if graph.is_output(result):
        maker = result.producer
        assert maker is not None
        graph.remove(maker)
        graph.insert("Identity", [source], [result])
