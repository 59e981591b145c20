"""Functions of one element."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ....ir.arguments import clip_bounds
from ....ir.graph import Node
from ..network import Activation, Curve
from .affine import scaled
from .build import Build, Value, refusal
from .merging import product
from .quantised import clips_codes
from .selection import whole

Parameters = tuple[Curve, tuple[float, ...]]


def activation(build: Build, node: Node) -> Value:
    """Lower one of the functions below. Raises LoweringError for parameters that hls4ml does not have."""
    value = build.read(node)
    if node.op == "Clip" and clips_codes(node):
        return value
    return curve(build, node, value, *_CURVES[node.op](build, node))


def hard_sigmoid(build: Build, node: Node) -> Value:
    """Lower HardSigmoid as a scale, a shift and a clip to what lies between 0 and 1."""
    return _hard(build, node, build.read(node), _attribute(build, node, "alpha"), _attribute(build, node, "beta"))


def hard_swish(build: Build, node: Node) -> Value:
    """Lower HardSwish as the product of a value and its hard sigmoid."""
    value = build.read(node)
    return product(build, node, value, _hard(build, node, value, 1 / 6, 0.5))


def selu(build: Build, node: Node) -> Value:
    """Lower Selu as Elu and a scale behind it."""
    bent = curve(build, node, build.read(node), "elu", (_attribute(build, node, "alpha"),))
    return scaled(build, node, bent, np.array(_attribute(build, node, "gamma")), np.zeros(()))


def curve(build: Build, node: Node, value: Value, kind: Curve, parameters: tuple[float, ...]) -> Value:
    """Add a function of each element of a value."""
    if kind == "clip" and parameters == (-np.inf, np.inf):
        return value
    value = whole(build, node, value)
    layer = value.layer
    added = build.add(Activation(node.name, (layer.name,), layer.shape, node.name, kind, parameters))
    return Value(added, value.places)


def _hard(build: Build, node: Node, value: Value, slope: float, shift: float) -> Value:
    return curve(build, node, scaled(build, node, value, np.array(slope), np.array(shift)), "clip", (0.0, 1.0))


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


_CURVES: dict[str, Callable[[Build, Node], Parameters]] = {
    "Clip": _clip,
    "Elu": lambda build, node: ("elu", (_attribute(build, node, "alpha"),)),
    "LeakyRelu": lambda build, node: ("leaky_relu", (_attribute(build, node, "alpha"),)),
    "PRelu": _prelu,
    "Relu": lambda build, node: ("relu", ()),
    "Sigmoid": lambda build, node: ("sigmoid", ()),
    "Softplus": lambda build, node: ("softplus", ()),
    "Softsign": lambda build, node: ("softsign", ()),
    "Tanh": lambda build, node: ("tanh", ()),
}
