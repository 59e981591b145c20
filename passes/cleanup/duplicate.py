"""``merge-duplicate-channels``: fold channels that are equal, or proportional, into one at the layers that read them.

If channel j is ``φ`` times channel i wherever a layer reads it, ``W_i x_i + W_j x_j = (W_i + φ W_j) x_i``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...ir.graph import Array, Graph
from ..analysis.channels.groups import Channels, analyse
from ..analysis.channels.origins import Origin, Origins, composed, removed
from ..base import Context, Outcome
from ..order import EXACT
from .choice import choose, kept
from .ends import End, ends, no_classes
from .layer import Layer
from .numbering import Numbering
from .rows import cluster, summed
from .ungroup import repeated, ungroup

_CHUNK_BYTES = 2**26


@dataclass(frozen=True)
class MergeDuplicateChannels:
    """Fold duplicate channels into one at their consumers, and remove the others. Exact up to rounding.

    What is a duplicate is read off value numbers (see :mod:`.numbering`), where channels are read: whatever lies
    between their producers and there, residual sums and concatenations too, is covered. Merging changes no value, and
    rows that become equal by merging their inputs already have one number, so further rounds only find what a
    smaller network's constraints leave room for. Grouped convolutions whose groups read the same values become
    ordinary ones where that lets the network shrink further.
    """

    name: ClassVar[str] = "merge-duplicate-channels"
    preserves: ClassVar[frozenset[str]] = EXACT

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Rewrite ``graph`` until nothing changes. Time: linear in the weights, a round."""
        count, left = _merge_all(graph, context.view(graph).channels)
        names = repeated(graph, Numbering(analyse(graph).context)) if count else []
        if names:
            trial = graph.copy()
            ungroup(trial, names)
            _merge_all(trial, analyse(trial))
            if _size(trial) < _size(graph):
                ungroup(graph, names)
                more, later = _merge_all(graph, analyse(graph))
                count, left = count + more, composed(left, later)
        if not count:
            return Outcome(False)
        return Outcome(True, (f"merged {count} duplicate channels",), {"channels": count}, left=left)


def _size(graph: Graph) -> int:
    return sum(tensor.array.size for tensor in graph.constants())


def _merge_all(graph: Graph, channels: Channels) -> tuple[int, Origins]:
    count, left = 0, dict[str, Origin | None]()
    while True:
        merged, later = _merge(graph, channels)
        if not merged:
            return count, left
        count, left = count + merged, composed(left, later)
        channels = analyse(graph)


def _merge(graph: Graph, channels: Channels) -> tuple[int, Origins]:
    numbering = Numbering(channels.context)
    places = [_Place.of(end, numbering) for end in ends(graph, channels)]
    sets, strength = _duplicates(channels, places)
    gone = choose(channels, sets, needed=True, worth=strength)
    if not gone.any():
        return 0, {}
    model = np.arange(len(gone))
    for one in np.unique(sets[gone]):
        members = np.flatnonzero(sets == one)
        left = members[~gone[members]]
        model[members[gone[members]]] = left[np.argmax(strength[left])]
    for place in places:
        _fold(channels, place, model)
    return int(gone.sum()), removed(graph, channels, kept(channels, gone))


@dataclass(frozen=True)
class _Place:
    """An end of channels with the value number and factor of every input channel; none without a layer."""

    end: End
    numbers: Array
    factors: Array

    @staticmethod
    def of(end: End, numbering: Numbering) -> "_Place":
        if end.layer is None:
            return _Place(end, np.zeros(0, np.int64), np.zeros(0))
        found = numbering.along(end.layer.source, end.layer.axis_in)
        return _Place(end, found.number, found.factor)

    def occurrences(self) -> list[tuple[Array, Array]]:
        """Return (classes, their positions (classes, n)), for every number n of positions that a class has here."""
        order = np.argsort(self.end.classes, kind="stable")
        classes, starts, counts = np.unique(self.end.classes[order], return_index=True, return_counts=True)
        found = []
        for count in np.unique(counts[classes > 0]).tolist():
            some = (counts == count) & (classes > 0)
            found.append((classes[some], order[starts[some][:, None] + np.arange(count)]))
        return found


def _duplicates(channels: Channels, places: Sequence[_Place]) -> tuple[Array, Array]:
    """Return, for every class, the set of its duplicates, -1 without any; and the largest of its factors.

    Two classes are duplicates if they end in the same layers, in the same groups, and the first, second, … place where
    one ends has the number of the other's, with one ratio of factors within a layer.
    """
    count = len(no_classes(channels))
    signature, strength = np.zeros(count, np.int64), np.zeros(count)
    fixed = no_classes(channels)
    for place in places:
        layer = place.end.layer
        if layer is None:
            fixed[place.end.labels.atoms.ravel()] = True
            continue
        block = np.arange(layer.inputs) // layer.matrix.shape[2]
        here = np.zeros(count, np.int64)
        for classes, positions in place.occurrences():
            factors = place.factors[positions]
            keys = np.concatenate([place.numbers[positions], block[positions]], 1)
            here[classes] = cluster(keys, factors / factors[:, :1]) + here.max() + 1
            strength[classes] = np.maximum(strength[classes], factors[:, 0])
        signature = np.unique(np.stack([signature, here], 1), axis=0, return_inverse=True)[1].ravel()
    free = no_classes(channels)
    for group in channels.groups:
        free[group.cells] = True
    signature = np.where(free & ~fixed, signature, -1)
    alone = np.bincount(signature + 1)[signature + 1] == 1
    return np.where(alone, -1, signature), strength


def _fold(channels: Channels, place: _Place, model: Array) -> None:
    """Add the columns of every class that goes to those of its model; its own become zero."""
    layer = place.end.layer
    if layer is None:
        return
    target = np.arange(layer.inputs)
    where = np.zeros(len(model), np.int64)
    for classes, positions in place.occurrences():
        where[classes] = np.arange(len(classes))
        target[positions] = positions[where[model[classes]]]
    if (target == np.arange(layer.inputs)).all():
        return
    old = layer.weight.name
    weight = layer.set_matrix(_folded(layer, target, place.factors / place.factors[target]))
    channels.context.slices.setdefault(weight.name, channels.context.slices[old])


def _folded(layer: Layer, target: Array, ratio: Array) -> Array:
    """Return the matrix with column c added, times ``ratio[c]``, to column ``target[c]`` of the same group."""
    matrix = layer.matrix
    groups, rows, columns, taps = matrix.shape
    result = np.zeros(matrix.shape, matrix.dtype)
    step = max(1, _CHUNK_BYTES // (8 * columns * taps))
    for group in range(groups):
        own = slice(group * columns, (group + 1) * columns)
        places = target[own] - group * columns
        for start in range(0, rows, step):
            part = matrix[group, start : start + step]
            result[group, start : start + step] = summed(part, places, ratio[own], columns)
    return result
