"""``merge-duplicate-channels``: fold channels that are equal into one at the layers that read them.

If channel j equals channel i wherever a layer reads it, ``W_i x_i + W_j x_j = (W_i + W_j) x_i``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...ir.graph import Array, Graph
from ..analysis.channels.groups import Channels, analyse
from ..analysis.channels.origins import Origins, composed, removed
from ..base import Context, Outcome
from ..order import EXACT
from .choice import choose, kept, paying
from .ends import End, ends, no_classes
from .numbering import Numbering


@dataclass(frozen=True)
class MergeDuplicateChannels:
    """Fold duplicate channels into one at their consumers, and remove the others. Exact up to rounding.

    What is a duplicate is read off value numbers (see :mod:`.numbering`), where channels are read: whatever lies
    between their producers and there, residual sums and concatenations too, is covered. Rows that become equal when the
    channels they read are merged are found in the next round. ``multiple``: as for ``remove-dead-channels``.
    """

    multiple: int = 1
    name: ClassVar[str] = "merge-duplicate-channels"
    preserves: ClassVar[frozenset[str]] = EXACT

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Rewrite ``graph`` until nothing changes. Time: linear in the weights, a round."""
        channels, count = context.view(graph).channels, 0
        left: Origins = {}
        while merged := self._merge(graph, channels, context):
            count, left = count + merged[0], composed(left, merged[1])
            channels = analyse(graph)
        if not count:
            return Outcome(False)
        return Outcome(True, (f"merged {count} duplicate channels",), {"channels": count}, left=left)

    def _merge(self, graph: Graph, channels: Channels, context: Context) -> tuple[int, Origins] | None:
        numbering = Numbering(channels.context)
        places = [_Place.of(end, numbering) for end in ends(graph, channels)]
        sets = _duplicates(channels, places)
        gone = choose(channels, sets, True, paying(self.multiple, context))
        if not gone.any():
            return None
        model = np.arange(len(gone))
        for one in np.unique(sets[gone]):
            members = np.flatnonzero(sets == one)
            model[members[gone[members]]] = members[~gone[members]][0]
        for place in places:
            _fold(channels, place, model)
        return int(gone.sum()), removed(graph, channels, kept(channels, gone))


@dataclass(frozen=True)
class _Place:
    """An end of channels with the value number of every input channel; none without a layer."""

    end: End
    numbers: Array

    @staticmethod
    def of(end: End, numbering: Numbering) -> "_Place":
        layer = end.layer
        return _Place(end, np.zeros(0) if layer is None else numbering.along(layer.source, layer.axis_in).values)

    def occurrences(self) -> list[tuple[Array, Array]]:
        """Return (classes, their positions (classes, n)), for every number n of positions that a class has here."""
        order = np.argsort(self.end.classes, kind="stable")
        classes, starts, counts = np.unique(self.end.classes[order], return_index=True, return_counts=True)
        found = []
        for count in np.unique(counts[classes > 0]).tolist():
            some = (counts == count) & (classes > 0)
            found.append((classes[some], order[starts[some][:, None] + np.arange(count)]))
        return found


def _duplicates(channels: Channels, places: Sequence[_Place]) -> Array:
    """Return, for every class, the set of its duplicates, -1 without any.

    Two classes are duplicates if they end in the same layers, in the same groups, and the first, second, … place where
    one ends has the number of the other's.
    """
    fixed = no_classes(channels)
    signature = np.zeros(len(fixed), np.int64)
    for place in places:
        layer = place.end.layer
        if layer is None:
            fixed[place.end.labels.atoms.ravel()] = True
            continue
        block = np.arange(layer.inputs) // layer.matrix.shape[2]
        here = np.zeros(len(fixed), np.int64)
        for classes, positions in place.occurrences():
            keys = np.concatenate([place.numbers[positions], block[positions]], 1)
            here[classes] = np.unique(keys, axis=0, return_inverse=True)[1].ravel() + here.max() + 1
        signature = np.unique(np.stack([signature, here], 1), axis=0, return_inverse=True)[1].ravel()
    free = no_classes(channels)
    for group in channels.groups:
        free[group.cells] = True
    signature = np.where(free & ~fixed, signature, -1)
    alone = np.bincount(signature + 1)[signature + 1] == 1
    return np.where(alone, -1, signature)


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
    weight = layer.set_matrix(folded(layer.matrix, target))
    channels.context.slices.setdefault(weight.name, channels.context.slices[old])


def folded(matrix: Array, target: Array) -> Array:
    """Return weights (groups, rows, columns, taps) with column c added to column ``target[c]`` of the same group.

    Columns count over all groups; those that are added to another become zero.
    """
    columns = matrix.shape[2]
    result = matrix.copy()
    gone = np.flatnonzero(target != np.arange(len(target)))
    for one in np.unique(target[gone]).tolist():
        group, place = divmod(one, columns)
        members = np.flatnonzero(target == one) - group * columns
        result[group, :, place] = matrix[group][:, members].astype(np.float64).sum(1)
    groups, places = np.divmod(gone, columns)
    result[groups, :, places] = 0
    return result
