"""Widths from a policy that was trained once for all targets of a network and its data: see :mod:`.policy`."""

from collections.abc import Sequence

import numpy as np

from ...ir.errors import UsageError
from ...ir.graph import Array
from ..analysis.channels.groups import Channels
from ..analysis.layers.linear import Linear, spatial_sizes
from ..base import Context
from .cost_model import CostModel, Floats, Ints
from .policy import STATIC, Course, trained
from .problem import Problem
from .stages import held


def by_policy(task: Problem, curves: Sequence[Array], context: Context) -> Ints | None:
    """Return the widths that the policy gives for the task's budget, (G,), or None where it cannot be met.

    Raises UsageError where the cost is no sum over layers.
    """
    cost = task.cost
    if not isinstance(cost, CostModel):
        raise UsageError("allocation=policy knows only costs that add up over layers", hint="use allocation=global")
    levels = [level[::-1].copy() for level in task.levels()]
    course = Course(_features(task), levels, curves, cost)
    depends = [course.features, *levels, *curves, cost.linear, cost.quadratic]
    context.progress("training the policy", 0.0)
    found = context.remember("policy", task.graph, depends, lambda: {"weights": trained(course, context.rng())})
    weights = np.asarray(found["weights"])[None]

    def solve(budget: float) -> Ints | None:
        share = budget / cost(course.whole)
        return course.walked(weights, np.array([share]))[0].astype(np.int64) if share >= course.lowest else None

    return task.meet(solve)


def _features(task: Problem) -> Floats:
    """Describe the layer that makes each group, else the first that reads it: (G, 9), each column from 0 to 1."""
    channels = task.ranking.channels
    layers = list(channels.layers.values())
    makes = [held(channels, layer.output) for layer in layers]
    reads = [held(channels, layer.input) for layer in layers]
    table = np.zeros((len(task.groups), STATIC))
    for number in range(len(table)):
        places = [place for marks in (makes, reads) for place, mark in enumerate(marks) if mark[number]]
        table[number] = number, *(_described(layers[places[0]], channels) if places else (0,) * (STATIC - 1))
    low, span = table.min(0), np.ptp(table, 0)
    return np.asarray((table - low) / np.where(span > 0, span, 1))


def _described(layer: Linear, channels: Channels) -> tuple[float, ...]:
    """Return type (0: convolution), outputs, inputs, height, width, stride, kernel, and weights."""
    outputs, inputs = layer.groups * layer.fan_out, layer.groups * layer.fan_in / layer.taps
    height, width = (*spatial_sizes(layer, channels.context.shapes), 1, 1)[:2]
    stride = layer.geometry.strides[0] if layer.geometry is not None else 1
    weights = layer.groups * layer.fan_in * layer.fan_out
    return float(layer.geometry is None), outputs, inputs, height, width, stride, np.sqrt(layer.taps), weights
