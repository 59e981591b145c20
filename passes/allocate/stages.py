"""Stages of a network, its residual stream, and what UCP cuts of it."""

import numpy as np
import numpy.typing as npt

from ...ir.graph import Graph
from ..analysis.channels.groups import Channels
from ..analysis.channels.rules.elementwise import static

_ADDITIONS = ("Add", "Sub", "Sum")

Mask = npt.NDArray[np.bool_]


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


def cut_by_ucp(channels: Channels, stream: Mask) -> Mask:
    """Say of every group, (G,), whether UCP (Chang, Lu, Xue, Wei, Wei, arXiv 2010.01251) cuts it, as its code does.

    Of basic blocks, whose last layer has a kernel of several taps, it cuts what that layer writes, the ``stream`` (G,),
    and leaves the inside; of bottlenecks what the middle layer, the one of several taps, writes; of a network without
    residual additions everything.
    """
    if not stream.any():
        return np.ones_like(stream)
    layers = list(channels.layers.values())
    reads = np.array([held(channels, layer.input) for layer in layers]).reshape(len(layers), len(stream))
    writes = np.array([held(channels, layer.output) for layer in layers]).reshape(len(layers), len(stream))
    wide = np.array([layer.taps > 1 for layer in layers], bool)
    last = wide & (reads & ~stream).any(1)
    basic = stream & writes[last].any(0)
    inside = reads[(writes & basic).any(1)].any(0)
    middle = writes[wide & reads.any(1)].any(0)
    return np.asarray(basic | (middle & ~inside & ~stream))


def held(channels: Channels, tensor: str) -> Mask:
    """Mark the groups, (G,), that have channels in a tensor."""
    labels = channels.context.labels.get(tensor)
    atoms = np.empty(0, np.int64) if labels is None else np.unique(labels.atoms)
    return np.array([np.isin(group.cells, atoms).any() for group in channels.groups], bool)
