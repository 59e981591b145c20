"""Layers that onnxruntime has fused with what follows, as it saves an optimised model: written with standard operators.

It fuses them again when it loads the result.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ir.graph import Graph, Node, Tensor

_LAYERS = {"com.microsoft.FusedConv": "Conv", "com.microsoft.FusedGemm": "Gemm"}
_PARAMETERS: dict[str, tuple[str, ...]] = {
    "HardSigmoid": ("alpha", "beta"),
    "LeakyRelu": ("alpha",),
    "Relu": (),
    "Sigmoid": (),
    "Tanh": (),
}
_OURS = ("activation", "activation_params", "activation_alpha", "activation_beta", "activation_gamma")
_CLIP_INPUTS = 11  # the operator set since which Clip takes its limits as inputs


def unfuse(graph: Graph) -> int:
    """Take fused layers apart: the layer, a sum where it has one, the activation; return how many."""
    fused = [node for node in graph.nodes if node.qualified in _LAYERS and _known(node)]
    for node in fused:
        _apart(graph, node)
    return len(fused)


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
