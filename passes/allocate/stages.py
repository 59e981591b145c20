"""Stages of a network, its residual stream, and widths that are uniform by stage."""

from functools import partial

import numpy as np
import numpy.typing as npt

from ...ir.graph import Graph
from ..analysis.channels.groups import Channels
from ..analysis.channels.rules.elementwise import static
from .problem import Ints, Problem
from .uniform import uniform

_ADDITIONS = ("Add", "Sub", "Sum")


def stages(channels: Channels, stream: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Number the stage of every group, (G,).

    Groups of one stage are made of equally many cells and channels in tensors of equal size along all other axes, and
    either all belong to the residual ``stream`` (G,) or none does: the blocks between two changes of resolution.
    """
    numbers: dict[object, int] = {}
    found = []
    for group, streams in zip(channels.groups, stream.tolist(), strict=True):
        tensor = group.members[0].partition("#")[0]
        shrink = channels.context.labels[tensor].shrink if tensor in channels.context.labels else None
        shape = channels.context.shapes[tensor]
        others = tuple(size for axis, size in enumerate(shape) if axis != shrink)
        found.append(numbers.setdefault((group.cells.shape, others, streams), len(numbers)))
    return np.array(found, np.int64)


def residual_stream(graph: Graph, channels: Channels) -> npt.NDArray[np.bool_]:
    """Say of every group, (G,), whether an addition couples two computed tensors of its channels."""
    context = channels.context
    added = np.zeros(context.registry_size(), bool)
    for node in graph.nodes:
        terms = [t for t in node.inputs if t.name and not static(t)] if node.op in _ADDITIONS else []
        held = [np.unique(context.labels[t.name].atoms) for t in terms if t.name in context.labels]
        for place, classes in enumerate(held):
            for others in held[:place]:
                added[np.intersect1d(classes, others)] = True
    return np.array([bool(added[group.cells].any()) for group in channels.groups], bool)


def alike(task: Problem) -> Ints | None:
    """Prune uniformly: the insides of blocks where that suffices, else the residual stream too."""
    stream = residual_stream(task.graph, task.ranking.channels)
    number = stages(task.ranking.channels, stream)
    levels = task.levels()
    inner = [level[:1] if streams else level for level, streams in zip(levels, stream.tolist(), strict=True)]
    for allowed in (inner, levels):
        kept = task.meet(partial(uniform, allowed, number, task.modelled))
        if kept is not None:
            return kept
    return None
