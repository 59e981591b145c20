"""How the outputs' divergence grows with the channels that a group loses: what groups compete by."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from ...ir.graph import Array
from ..analysis.channels.groups import Group
from ..analysis.channels.ranking import Ranking
from ..analysis.channels.readers import readers
from ..analysis.statistics.input_moments import LazyMoments
from ..analysis.statistics.judge import judge
from ..base import Context
from .probe import Probe
from .problem import Problem

_TIE_BREAK = 1e-9
_REPORTED = 33  # points of a curve in a report


def error_curves(task: Problem, context: Context, samples: int) -> list[Array]:
    """Return every group's error after 0, 1, … rounds: measured on ``samples`` with calibration data, else the
    ranking's own; strictly rising either way.
    """
    curves = scored(task)
    if context.calibration is not None:
        ranked = [group for group in task.groups if group.name in task.ranking.groups]
        rankings = [task.ranking.groups[group.name] for group in ranked]
        moments = moments_of(context, task)
        depends = [samples, list(moments.key), [[r.order, r.curve] for r in rankings]]
        depends.append([group.name in task.ranking.droppable for group in ranked])
        arrays = context.remember("curves", task.graph, depends, partial(_probed, task, context, samples, ranked))
        numbers = {group.name: number for number, group in enumerate(ranked)}
        curves = [
            np.asarray(arrays[f"curve_{numbers[group.name]}"]) if group.name in numbers else curve
            for group, curve in zip(task.groups, curves, strict=True)
        ]
    return _risen(curves)


def thinned(curves: Mapping[str, Array], lost: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """Return for a report, by group: errors at evenly spaced shares of its rounds, and the share that it loses."""
    found = {}
    for name, curve in curves.items():
        most = len(curve) - 1
        places = np.linspace(0, most, min(len(curve), _REPORTED)).round().astype(int)
        errors = np.asarray(curve, np.float64)[places].tolist()
        found[name] = {"errors": errors, "lost": lost.get(name, 0) / max(most, 1)}
    return found


def own_curves(task: Problem) -> list[Array]:
    """Return the ranking's own curves, strictly rising."""
    return _risen(scored(task))


def scored(task: Problem) -> list[Array]:
    """Return every group's curve as the criterion has scored it."""
    return [_proxy(task.ranking, group) for group in task.groups]


def _risen(curves: list[Array]) -> list[Array]:
    step = _TIE_BREAK * (max((float(curve[-1]) for curve in curves), default=0.0) or 1.0)
    return [curve + step * np.arange(len(curve)) for curve in curves]


def moments_of(context: Context, task: Problem) -> LazyMoments:
    """Return the statistics of the inputs of the task's layers, at as many positions as its ranking was taken from."""
    return context.moments(context.view(task.graph), task.ranking.rows)


def _probed(task: Problem, context: Context, samples: int, ranked: list[Group]) -> dict[str, Array]:
    """Measure every ranked group's curve; return it under the group's number."""
    chosen = judge(task.graph, context.judging(samples), context.runner)
    probe = Probe.of(task.graph, task.ranking, moments_of(context, task), chosen)
    found = {}
    for number, group in enumerate(ranked):
        context.progress("measuring sensitivity", number / len(ranked))
        found[f"curve_{number}"] = _measured(probe, group)
    return found


def _measured(probe: Probe, group: Group) -> Array:
    """The probed curve; of a droppable group its end is measured too, with every reader's input at its mean."""
    curve = probe.curve(group)
    if group.name not in probe.ranking.droppable:
        return curve
    reading = readers(probe.graph, probe.ranking.channels, group, probe.layers, probe.moments, probe.weights)
    whole = probe.divergence(group, group.width, reading)
    return np.append(np.minimum(curve[:-1], whole), whole)


def _proxy(ranking: Ranking, group: Group) -> Array:
    """The ranking's own curve, over all widths; a group that is not ranked keeps everything."""
    ranked = ranking.groups.get(group.name)
    return np.asarray(ranked.curve) if ranked is not None else np.zeros(group.width + 1)
