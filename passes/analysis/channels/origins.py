"""Where the channels of a rewritten graph come from: for every tensor, which indices of the reference's are left.

An :class:`Origin` holds numbers of a reference tensor's indices, so removals compose by indexing. Tensors are known by
their names: a pass that keeps a name keeps its values, but for channels that it removes and says so.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

import numpy as np

from ....ir.graph import Array, Graph
from ....ir.shapes import Shape
from .groups import Channels
from .removal import keep_mask, remove
from .surgery import kept_count

Origins = Mapping[str, "Origin | None"]
"""By tensor name. A tensor not named is whole; None: it has lost indices along two axes, and no list says which."""


@dataclass(frozen=True, eq=False)
class Origin:
    """Of one tensor: ``places`` has its rank, and along ``axis`` the reference's index of every index that is left.

    Size 1 along another axis means that all its indices have lost the same; else it is that axis' whole length.
    ``whole``: how many indices the reference has along ``axis``.
    """

    axis: int
    places: Array
    whole: int

    @property
    def count(self) -> int:
        """How many indices are left."""
        return int(self.places.shape[self.axis])

    def restrict(self, values: Array) -> Array:
        """Return of a reference tensor's values what is left, in a fresh array where anything went."""
        if self.places.size == self.count:
            return np.take(values, self.places.ravel(), self.axis)
        form = [self.count if axis == self.axis else size for axis, size in enumerate(values.shape)]
        return np.take_along_axis(values, np.broadcast_to(self.places, form), self.axis)

    def then(self, later: Origin) -> Origin | None:
        """Compose with a removal from what is left; None where that shortens another axis."""
        if self.axis != later.axis:
            return None
        own = self.places.reshape(self.places.shape + (1,) * (later.places.ndim - self.places.ndim))
        form = [max(a, b) for a, b in zip(own.shape, later.places.shape, strict=True)]
        form[self.axis] = self.count
        spread = np.broadcast_to(own, form)
        form[self.axis] = later.count
        places = np.take_along_axis(spread, np.broadcast_to(later.places, form), self.axis)
        return Origin(self.axis, places, self.whole)


def origins(channels: Channels, keep: Array) -> dict[str, Origin | None]:
    """Return what a removal leaves of every tensor that loses something. ``keep``: one bool a class id."""
    found: dict[str, Origin | None] = {}
    for name, labels in channels.context.labels.items():
        mask = keep[labels.atoms]
        if labels.shrink is None or mask.all():
            continue
        count = kept_count(mask, labels.shrink, f"tensor '{name}'") if mask.any() else 0
        order = np.argsort(~mask, axis=labels.shrink, kind="stable")
        places = np.take(order, np.arange(count), labels.shrink)
        found[name] = Origin(labels.shrink, places, mask.shape[labels.shrink])
    return found


def removed(graph: Graph, channels: Channels, kept: Mapping[str, Array]) -> dict[str, Origin | None]:
    """Remove channels as :func:`.removal.remove` does, and return what that leaves."""
    left = origins(channels, keep_mask(channels, kept))
    remove(graph, channels, kept)
    return left


def composed(earlier: Origins, later: Origins, known: Mapping[str, Shape] | None = None) -> dict[str, Origin | None]:
    """Return origins after two removals, ``later`` from what ``earlier`` has left; of ``known`` tensors, if given."""
    found = dict(earlier)
    for name, origin in later.items():
        first = earlier.get(name, origin)
        if name not in earlier:
            found[name] = origin
        elif first is not None and origin is not None:
            found[name] = first.then(origin)
        else:
            found[name] = None
    return found if known is None else {name: origin for name, origin in found.items() if name in known}


def class_mask(channels: Channels, left: Origins) -> Array:
    """Return one bool a class id of the reference: whether any of its indices is left in every tensor that it lies in.

    One unit stays of a group that is gone with all of some tensor, so that shapes and slices of whatever is left can be
    read off it.
    """
    keep = np.ones(channels.context.registry_size(), bool)
    for name, origin in left.items():
        labels = channels.context.labels.get(name)
        if origin is None or labels is None or labels.shrink != origin.axis:
            continue
        form = [max(a, b) for a, b in zip(labels.atoms.shape, origin.places.shape, strict=True)]
        form[origin.axis] = labels.atoms.shape[origin.axis]
        keep[np.setdiff1d(labels.atoms, origin.restrict(np.broadcast_to(labels.atoms, form)))] = False
    emptied = np.concatenate([np.empty(0, np.int64), *(floor for floor in channels.floors if not keep[floor].any())])
    for group in channels.groups:
        if not keep[group.cells].any() and np.isin(group.cells, emptied).any():
            keep[group.cells[:, 0]] = True
    return keep


def expresses(channels: Channels, keep: Array, left: Origins, there: Container[str]) -> bool:
    """Whether removing the classes not in ``keep`` leaves just what ``left`` says, in all tensors still ``there``."""
    wanted = origins(channels, keep)
    return all(
        _alike(left.get(name), wanted.get(name))
        for name in left.keys() | wanted.keys()
        if name in there and ((origin := left.get(name)) is None or origin.count)
    )


def _alike(left: Origin | None, right: Origin | None) -> bool:
    if left is None or right is None:
        return False
    return left.axis == right.axis and np.array_equal(left.places, right.places)


def shape_after(shape: Shape, origin: Origin) -> Shape:
    """Return a tensor's shape once the others of its indices are gone."""
    return tuple(origin.count if axis == origin.axis else size for axis, size in enumerate(shape))
