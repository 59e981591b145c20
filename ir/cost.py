"""What a graph costs: MACs, parameters, bytes of weights, activation elements, for one sample."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from .graph import Graph, Node, Tensor
from .qonnx import QUANTISERS
from .shapes import Shape, concrete, inner_shapes, input_sizes


@dataclass(frozen=True)
class Cost:
    """Totals, or one node's share. MACs: multiply-accumulates; bytes: of stored constants."""

    macs: int = 0
    parameters: int = 0
    bytes: int = 0
    activations: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.macs + other.macs,
            self.parameters + other.parameters,
            self.bytes + other.bytes,
            self.activations + other.activations,
        )


def cost(graph: Graph, shapes: Mapping[str, Shape] | None = None) -> dict[str, Cost]:
    """Return each node's cost by node name. A constant read by several nodes counts at the first.

    ``shapes`` default to one sample, where the batch is open, of the sizes kept with the graph. What subgraphs hold
    counts at their node; of branches, the one with the most MACs. What :func:`unknown_layers` names has no MACs here.
    """
    known = all_shapes(graph) if shapes is None else shapes
    counted: set[str] = set()
    found = {}
    for node in graph.nodes:
        weights = [t for t in (*node.inputs, *node.captures()) if t.is_constant and t.name not in counted]
        counted.update(t.name for t in weights)
        arrays = {t.name: t.array for t in weights}
        found[node.name] = Cost(
            macs(node, known, graph.opset),
            sum(a.size for a in arrays.values() if is_parameter(a.dtype)),
            sum(a.nbytes for a in arrays.values()),
            sum(prod(known.get(t.name, ())) for t in node.outputs if t.name in known),
        )
    return found


def all_shapes(graph: Graph) -> dict[str, Shape]:
    """Return the shapes of all tensors for one sample, those inside subgraphs too."""
    sizes = input_sizes(graph, 1)
    outer = concrete(graph, sizes)
    inside = inner_shapes(graph, sizes) if any(node.has_subgraphs for node in graph.nodes) else {}
    return inside | outer


def unknown_layers(graph: Graph, shapes: Mapping[str, Shape] | None = None) -> tuple[str, ...]:
    """Name the nodes of which no one can tell how often they multiply: their shapes, operator or rounds are unknown."""
    known = all_shapes(graph) if shapes is None else shapes
    return tuple(node.name for node in graph.nodes if _told(node, known, graph.opset) is None)


def is_layer(node: Node) -> bool:
    """Whether a node multiplies by weights or by another operand, inside its subgraphs too."""
    if node.domain:
        return node.qualified in _FORMULAS or _may_multiply(node)
    return node.op in _FORMULAS or any(is_layer(inner) for body in node.bodies() for inner in body)


def total(costs: Mapping[str, Cost]) -> Cost:
    """Sum the shares of all nodes."""
    return sum(costs.values(), Cost())


def is_parameter(dtype: object) -> bool:
    """Whether stored values of this type are learnt weights: floats and 8-bit integers, not shapes or indices."""
    kind = np.dtype(dtype)  # type: ignore[call-overload]
    return kind.kind in "fV" or (kind.kind in "iu" and kind.itemsize == 1)


def inner_layers(node: Node) -> list[str]:
    """Name the layers inside a node's subgraphs."""
    inside = [inner for body in node.bodies() for inner in body]
    return [name for inner in inside for name in (inner_layers(inner) or [_called(inner)] * is_layer(inner))]


def _called(node: Node) -> str:
    return node.name or node.outputs[0].name


def macs(node: Node, shapes: Mapping[str, Shape], opset: int) -> int:
    """Count one node's multiply-accumulates; 0 for operators that only move or combine elements, and where unknown."""
    return _told(node, shapes, opset) or 0


def _told(node: Node, shapes: Mapping[str, Shape], opset: int) -> int | None:
    """Return how often a node multiplies, None where that is unknown."""
    if node.has_subgraphs:
        return _of_bodies(node, shapes, opset)
    if node.qualified not in _FORMULAS:
        return None if _may_multiply(node) else 0
    ins = [shapes.get(t.name, ()) for t in node.inputs]
    needed = [*node.inputs[:1], *node.inputs[_second(node) :][:1], *node.outputs[:1]]
    if any(tensor.name and tensor.name not in shapes for tensor in needed):
        return None
    out = shapes.get(node.outputs[0].name, ()) if node.outputs else ()
    return _FORMULAS[node.qualified](node, ins, out, opset)


def _may_multiply(node: Node) -> bool:
    """Whether a node of another domain that nothing is known of reads a matrix."""
    return bool(node.domain) and node.qualified not in QUANTISERS and any(map(_is_matrix, node.inputs))


def _of_bodies(node: Node, shapes: Mapping[str, Shape], opset: int) -> int | None:
    """The most of any branch; a body that is repeated multiplies as often as only a run tells."""
    found = [[_told(inner, shapes, opset) for inner in body] for body in node.bodies()]
    if any(count is None for body in found for count in body):
        return None
    most = max((sum(count or 0 for count in body) for body in found), default=0)
    return most if node.op == "If" or not most else None


def _is_matrix(tensor: Tensor) -> bool:
    """Whether a constant may be the weight of a layer."""
    return tensor.is_constant and is_parameter(tensor.dtype) and sum(size > 1 for size in tensor.array.shape) > 1


def _second(node: Node) -> int:
    """Which input is the other factor."""
    return 3 if node.op.startswith("QLinear") else 1


Formula = Callable[[Node, list[Shape], Shape, int], int]


def _convolved(node: Node, ins: list[Shape], out: Shape, _opset: int) -> int:
    return prod(out) * prod(ins[_second(node)][1:])


def _spread(_node: Node, ins: list[Shape], _out: Shape, _opset: int) -> int:
    return prod(ins[0]) * prod(ins[1][1:])


def _gemm(node: Node, ins: list[Shape], out: Shape, opset: int) -> int:
    return prod(out) * ins[0][0 if node.attribute("transA", opset) else 1]


def _product(node: Node, ins: list[Shape], out: Shape, opset: int) -> int:
    turned = bool(node.attribute("transA", opset, 0)) and len(ins[0]) > 1
    return prod(out) * ins[0][-2 if turned else -1]


def _recurrent(_node: Node, ins: list[Shape], _out: Shape, _opset: int) -> int:
    return ins[0][0] * ins[0][1] * (prod(ins[1]) + prod(ins[2]))


def _attention(_node: Node, ins: list[Shape], out: Shape, _opset: int) -> int:
    """One product with all of queries, keys and values; queries by keys, and those by values."""
    return prod(ins[0]) * ins[1][-1] + 2 * prod(out) * ins[0][1]


def mixed(node: Node, shapes: Mapping[str, Shape]) -> tuple[int, int]:
    """Return how often attention multiplies for its scores, and to mix values by them; past states count too."""
    ins, out = [shapes.get(t.name, ()) for t in node.inputs], shapes.get(node.outputs[0].name, ())
    place = PAST_KEYS[node.qualified]
    past = ins[place][-2] if len(ins) > place and node.inputs[place].name else 0
    apart = len(ins) > 1 and bool(node.inputs[1].name)  # else queries hold keys and values as well
    keys = (ins[1][-2] if apart else ins[0][1]) + past
    return (prod(ins[0]) if apart else prod(out)) * keys, prod(out) * keys


def _scored(node: Node, ins: list[Shape], out: Shape, _opset: int) -> int:
    shapes = {tensor.name: shape for tensor, shape in zip(node.inputs, ins, strict=True)}
    return sum(mixed(node, shapes | {node.outputs[0].name: out}))


PAST_KEYS = {"Attention": 4, "com.microsoft.GroupQueryAttention": 3, "com.microsoft.MultiHeadAttention": 6}
"""Attention without weights of its own, and which input holds the keys of steps before."""


def _summed(node: Node, ins: list[Shape], _out: Shape, opset: int) -> int:
    return _einsum(str(node.attribute("equation", opset)), ins)


_FORMULAS: dict[str, Formula] = {
    **dict.fromkeys(("Conv", "ConvInteger", "DeformConv", "QLinearConv"), _convolved),
    **dict.fromkeys(("MatMul", "MatMulInteger", "QLinearMatMul"), _product),
    **dict.fromkeys(("GRU", "LSTM", "RNN"), _recurrent),
    **dict.fromkeys(PAST_KEYS, _scored),
    "ConvTranspose": _spread,
    "Einsum": _summed,
    "Gemm": _gemm,
    "com.microsoft.Attention": _attention,
    "com.microsoft.FusedConv": _convolved,
    "com.microsoft.FusedGemm": _gemm,
    "com.microsoft.FusedMatMul": _product,
    "com.microsoft.NhwcFusedConv": _convolved,
    "com.microsoft.nchwc.Conv": _convolved,
}


def _einsum(equation: str, shapes: list[Shape]) -> int:
    """Multiply the lengths of all letters and of what an ellipsis stands for; moving or summing one operand is free."""
    terms = equation.replace(" ", "").split("->")[0].split(",")
    if len(terms) != len(shapes) or len(terms) == 1:
        return 0
    sizes: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        before, _, after = term.partition("...")
        hidden = [f"-{place}" for place in range(len(shape) - len(before) - len(after), 0, -1)]
        for name, size in zip([*before, *hidden, *after], shape, strict=True):
            sizes[name] = max(size, sizes.get(name, 1))
    return prod(sizes.values())
