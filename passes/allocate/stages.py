"""Stages of a network, and its residual stream."""

import numpy as np
import numpy.typing as npt

from ...ir.graph import Graph
from ..analysis.channels.groups import Channels
from ..analysis.channels.rules.elementwise import static

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
