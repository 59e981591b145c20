"""Widths by where groups lie in the network, without measuring what they do to its outputs."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from .problem import Ints, Problem
from .stages import cut_by_ucp, residual_stream, stages
from .ucp import ucp
from .uniform import uniform

Mask = npt.NDArray[np.bool_]


def alike(task: Problem) -> Ints | None:
    """Keep one ratio: of the insides of blocks where that suffices, else of the residual stream too."""
    channels = task.ranking.channels
    stream = residual_stream(task.graph, channels)
    number = stages(channels, stream)
    return _first(task, ~stream, lambda levels: partial(uniform, levels, number, task.modelled))


def published(task: Problem) -> Ints | None:
    """Cut what UCP cuts where that suffices, else all groups: streams by one ratio, others by their scores."""
    stream = residual_stream(task.graph, task.ranking.channels)
    ranked = [task.ranking.groups.get(group.name) for group in task.groups]
    scores = [np.ones(1) if one is None else np.diff(one.curve) for one in ranked]
    cut = cut_by_ucp(task.ranking.channels, stream)
    return _first(task, cut, lambda levels: partial(ucp, levels, scores, stream, task.modelled))


def _first(task: Problem, cut: Mask, solver: Callable[[Sequence[Ints]], Callable[[float], Ints | None]]) -> Ints | None:
    """Let a solver cut the groups marked in ``cut`` (G,), and where these do not suffice, all."""
    levels = task.levels()
    some = [level if may else level[:1] for level, may in zip(levels, cut.tolist(), strict=True)]
    for allowed in (some, levels):
        kept = task.meet(solver(allowed))
        if kept is not None:
            return kept
    return None
