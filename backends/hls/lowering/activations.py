"""Functions of one element."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ....ir.arguments import clip_bounds
from ....ir.graph import Node
from ..network import Activation, Curve
from .build import Build, Value, refusal
from .quantised import clips_codes
from .selection import whole

_SELU = {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}
Parameters = tuple[Curve, tuple[float, ...]]


def activation(build: Build, node: Node) -> Value:
    """Lower one of the functions below. Raises LoweringError for parameters that hls4ml does not have."""
    value = build.read(node)
    if node.op == "Clip" and clips_codes(node):
        return value
    kind, parameters = _CURVES[node.op](build, node)
    if kind == "clip" and parameters == (-np.inf, np.inf):
        return value
    value = whole(build, node, value)
    layer = value.layer
    added = build.add(Activation(node.name, (layer.name,), layer.shape, node.name, kind, parameters))
    return Value(added, value.places)


def _attribute(build: Build, node: Node, name: str) -> float:
    return float(node.attribute(name, build.graph.opset))


def _clip(build: Build, node: Node) -> Parameters:
    bounds = clip_bounds(node, build.graph.opset, partial(build.number, node))
    assert bounds is not None  # computed bounds are refused
    return ("relu", ()) if bounds == (0, np.inf) else ("clip", bounds)


def _prelu(build: Build, node: Node) -> Parameters:
    slope = build.weight(node, 1)
    if slope.size != 1:
        raise refusal(node, "each channel has a slope of its own", "use one slope: LeakyRelu")
    return "leaky_relu", (float(slope.ravel()[0]),)


def _selu(build: Build, node: Node) -> Parameters:
    for name, usual in _SELU.items():
        if abs(_attribute(build, node, name) - usual) > 1e-6:
            raise refusal(node, f"its {name} is not the usual {usual:.4f}", "use Elu and a scale")
    return "selu", ()


_CURVES: dict[str, Callable[[Build, Node], Parameters]] = {
    "Clip": _clip,
    "Elu": lambda build, node: ("elu", (_attribute(build, node, "alpha"),)),
    "HardSigmoid": lambda build, node: (
        "hard_sigmoid",
        (_attribute(build, node, "alpha"), _attribute(build, node, "beta")),
    ),
    "LeakyRelu": lambda build, node: ("leaky_relu", (_attribute(build, node, "alpha"),)),
    "PRelu": _prelu,
    "Relu": lambda build, node: ("relu", ()),
    "Selu": _selu,
    "Sigmoid": lambda build, node: ("sigmoid", ()),
    "Tanh": lambda build, node: ("tanh", ()),
}
