"""Layers that onnxruntime has fused with what follows, as it saves an optimised model: written with standard operators.

It fuses them again when it loads the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...ir.graph import Graph, Node, Tensor
from ...ir.shapes import symbolic

_PRODUCT, _UNIT = "com.microsoft.FusedMatMul", "com.microsoft.QuickGelu"
_UNIT_ALPHA, _MATRIX = 1.702, 2
_LAYERS = {"com.microsoft.FusedConv": "Conv", "com.microsoft.FusedGemm": "Gemm"}
_PARAMETERS: dict[str, tuple[str, ...]] = {
    "HardSigmoid": ("alpha", "beta"),
    "HardSwish": (),
    "LeakyRelu": ("alpha",),
    "Relu": (),
    "Sigmoid": (),
    "Tanh": (),
}
_OURS = ("activation", "activation_params", "activation_alpha", "activation_beta", "activation_gamma")
_CLIP_INPUTS = 11  # the operator set since which Clip takes its limits as inputs


def unfuse(graph: Graph) -> int:
    """Take fused layers apart: the layer, a sum where it has one, the activation; return how many.

    Sigmoid-weighted units are written as products, products that turn and scale as what they do one by one.
    """
    fused = [node for node in graph.nodes if node.qualified in _LAYERS and _known(node)]
    for node in fused:
        _apart(graph, node)
    units = [node for node in graph.nodes if node.qualified == _UNIT]
    for node in units:
        _weighted(graph, node)
    products = [node for node in graph.nodes if node.qualified == _PRODUCT]
    ranks = {name: len(dims) for name, dims in symbolic(graph).items()} if products else {}
    return len(fused) + len(units) + sum(_turned(graph, node, ranks) for node in products)


def _known(node: Node) -> bool:
    return node.attributes.get("activation", "Relu") in (*_PARAMETERS, "Clip")


def _apart(graph: Graph, node: Node) -> None:
    attributes = node.attributes
    kept = {name: value for name, value in attributes.items() if name not in _OURS}
    inputs, out = node.inputs, node.outputs[0]
    kind, numbers = attributes.get("activation"), _numbers(node)
    steps: list[tuple[str, list[Tensor], dict[str, Any]]] = [(_LAYERS[node.qualified], _stripped(inputs[:3]), kept)]
    if len(inputs) > 3 and inputs[3].name:
        steps.append(("Add", [inputs[3]], {}))
    if kind == "Clip":
        limits = [graph.constant(f"{node.name}_limit", np.asarray(number, np.float32)) for number in numbers[:2]]
        inside = graph.opset >= _CLIP_INPUTS
        named = dict(zip(("min", "max"), numbers, strict=False))
        steps.append(("Clip", limits if inside else [], {} if inside else named))
    elif kind:
        steps.append((str(kind), [], dict(zip(_PARAMETERS[str(kind)], numbers, strict=False))))
    previous: list[Tensor] = []
    for number, (op, others, given) in enumerate(steps):
        last = number == len(steps) - 1
        result = out if last else graph.variable(f"{out.name}_{op}", out.dtype)
        graph.insert(op, [*previous, *others], [result], given, before=node)
        previous = [result]
    graph.remove(node)


def _weighted(graph: Graph, node: Node) -> None:
    """``x · sigmoid(alpha x)``."""
    x, out = node.inputs[0], node.outputs[0]
    alpha, scaled = float(node.attributes.get("alpha", _UNIT_ALPHA)), x
    if alpha != 1:
        scaled = graph.variable(f"{out.name}_scaled", out.dtype)
        number = graph.constant(f"{node.name}_alpha", np.asarray(alpha, x.dtype or np.float32))
        graph.insert("Mul", [x, number], [scaled], before=node)
    share = graph.variable(f"{out.name}_share", out.dtype)
    graph.insert("Sigmoid", [scaled], [share], before=node)
    graph.insert("Mul", [x, share], [out], before=node)
    graph.remove(node)


def _turned(graph: Graph, node: Node, ranks: Mapping[str, int]) -> bool:
    """A product of turned operands, times a number; one of an operand of unknown rank stays."""
    given = node.attributes
    out, operands = node.outputs[0], []
    for tensor, side in zip(node.inputs, "AB", strict=True):
        order = _order(ranks.get(tensor.name), given.get(f"trans{side}", 0), given.get(f"transBatch{side}", 0))
        if order is None:
            return False
        operands.append((tensor, order))
    read = [_transposed(graph, node, tensor, order) for tensor, order in operands]
    alpha = float(given.get("alpha", 1.0))
    product = out if alpha == 1 else graph.variable(f"{out.name}_product", out.dtype)
    graph.insert("MatMul", read, [product], before=node)
    if alpha != 1:
        kind = next((tensor.dtype for tensor in node.inputs if tensor.dtype is not None), np.float32)
        graph.insert(
            "Mul", [product, graph.constant(f"{node.name}_alpha", np.asarray(alpha, kind))], [out], before=node
        )
    graph.remove(node)
    return True


def _order(rank: int | None, last: int, first: int) -> list[int] | None:
    """Return how an operand is transposed: its first axis behind the others but one, then the last two in turn."""
    if not last and not first:
        return []
    if rank is None or rank < _MATRIX:
        return None if rank is None else []
    order = [*range(1, rank - 1), 0, rank - 1] if first else list(range(rank))
    return [*order[:-2], order[-1], order[-2]] if last else order


def _transposed(graph: Graph, node: Node, tensor: Tensor, order: list[int]) -> Tensor:
    if order == list(range(len(order))):
        return tensor
    turned = graph.variable(f"{tensor.name}_turned", tensor.dtype)
    graph.insert("Transpose", [tensor], [turned], {"perm": order}, before=node)
    return turned


def _numbers(node: Node) -> list[float]:
    """Return what the activation is given, in the order of its attributes."""
    listed = node.attributes.get("activation_params")
    if listed is not None:
        return [float(value) for value in listed]
    named = (node.attributes.get(f"activation_{name}") for name in ("alpha", "beta", "gamma"))
    return [float(value) for value in named if value is not None]


def _stripped(inputs: list[Tensor]) -> list[Tensor]:
    """Leave out omitted inputs at the end."""
    return inputs if inputs[-1].name else _stripped(inputs[:-1])
