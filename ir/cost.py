"""What a graph costs: MACs, parameters, bytes of weights, activation elements, for one sample."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from .graph import Graph, Node
from .shapes import Shape, concrete, input_sizes


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

    ``shapes`` default to one sample, where the batch is open, of the sizes kept with the graph.
    """
    known = concrete(graph, input_sizes(graph, 1)) if shapes is None else shapes
    counted: set[str] = set()
    found = {}
    for node in graph.nodes:
        weights = [t for t in node.inputs if t.is_constant and t.name not in counted]
        counted.update(t.name for t in weights)
        arrays = {t.name: t.array for t in weights}
        found[node.name] = Cost(
            macs(node, known, graph.opset),
            sum(a.size for a in arrays.values() if is_parameter(a.dtype)),
            sum(a.nbytes for a in arrays.values()),
            sum(prod(known.get(t.name, ())) for t in node.outputs if t.name in known),
        )
    return found


def total(costs: Mapping[str, Cost]) -> Cost:
    """Sum the shares of all nodes."""
    return sum(costs.values(), Cost())


def is_parameter(dtype: object) -> bool:
    """Whether stored values of this type are learnt weights: floats and 8-bit integers, not shapes or indices."""
    kind = np.dtype(dtype)  # type: ignore[call-overload]
    return kind.kind in "fV" or (kind.kind in "iu" and kind.itemsize == 1)


def macs(node: Node, shapes: Mapping[str, Shape], opset: int) -> int:
    """Count one node's multiply-accumulates; 0 for operators that only move or combine elements."""
    ins = [shapes.get(t.name) for t in node.inputs]
    out = shapes.get(node.outputs[0].name) if node.outputs else None
    factor = 3 if node.op.startswith("QLinear") else 1
    if node.domain or out is None or not ins or ins[0] is None or (len(ins) > factor and ins[factor] is None):
        return 0
    first, second = ins[0], (ins[factor] if len(ins) > factor else None) or ()
    if node.op in ("Conv", "ConvInteger", "DeformConv", "QLinearConv"):
        return prod(out) * prod(second[1:])
    if node.op == "ConvTranspose":
        return prod(first) * prod(second[1:])
    if node.op == "Gemm":
        return prod(out) * first[0 if node.attribute("transA", opset) else 1]
    if node.op in ("MatMul", "MatMulInteger", "QLinearMatMul"):
        return prod(out) * first[-1]
    if node.op == "Einsum":
        return _einsum(str(node.attribute("equation", opset)), [shape for shape in ins if shape is not None])
    if node.op in ("GRU", "LSTM", "RNN"):
        return first[0] * first[1] * (prod(second) + prod(ins[2] or ()))
    return 0


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
