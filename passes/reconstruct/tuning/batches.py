"""Random batches of calibration samples, changed as asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ....ir.errors import UsageError
from ....ir.feeds import Feeds
from ....ir.graph import Array

Plane = tuple[int, int]
"""The axes of an image's rows and columns."""


@dataclass(frozen=True)
class Augment:
    """How samples are changed: images mirrored left to right, moved by up to ``crop`` pixels, and mixed.

    ``mixed``: the parameter of the Beta distribution that weights of two samples are drawn from; 0 mixes none.
    """

    flip: bool = False
    crop: int = 0
    mixed: float = 0.0


def augmentation(names: Sequence[str], mixed: float) -> Augment:
    """Read ``flip`` and ``crop4``, 4 being any number of pixels. Raises UsageError."""
    found = Augment(mixed=mixed)
    for name in names:
        if name == "flip":
            found = replace(found, flip=True)
        elif name.startswith("crop") and name[4:].isdecimal() and len(name) < 9:
            found = replace(found, crop=int(name[4:]))
        else:
            raise UsageError(f"no change of images is called '{name}'", hint="flip, or crop4 for up to 4 pixels")
    return found


class Batches:
    """Draws batches of ``size`` from samples in memory; every sample comes once before any comes again.

    ``planes``: the inputs that are images, all of which are changed alike. Raises UsageError where images are to be
    changed and there are none, or they are smaller than what they are to be moved by.
    """

    def __init__(
        self, samples: Feeds, size: int, augment: Augment, planes: Mapping[str, Plane], rng: np.random.Generator
    ) -> None:
        self._samples, self._size, self._augment, self._planes, self._rng = samples, size, augment, planes, rng
        self._order = np.empty(0, np.int64)
        sides = [samples[name].shape[axis] for name, plane in planes.items() for axis in plane]
        if (augment.flip or augment.crop) and not sides:
            raise UsageError("no input is an image that a convolution reads, so none can be mirrored or moved")
        if augment.crop >= min(sides, default=augment.crop + 1):
            raise UsageError(f"crop{augment.crop} moves images of {min(sides)} pixels out of sight")

    def draw(self) -> Feeds:
        """Return the next batch."""
        chosen = self._next()
        batch = self.changed({name: values[chosen] for name, values in self._samples.items()})
        if not self._augment.mixed or any(values.dtype.kind != "f" for values in batch.values()):
            return batch
        share = self._rng.beta(self._augment.mixed, self._augment.mixed, self._size).astype(np.float32)
        other = self._rng.permutation(self._size)
        return {name: _mixed(values, other, share) for name, values in batch.items()}

    def changed(self, batch: Feeds) -> Feeds:
        """Return a batch of the size given, its images mirrored and moved, in order."""
        return self._moved(self._mirrored(batch))

    def _next(self) -> Array:
        count = len(next(iter(self._samples.values())))
        while len(self._order) < self._size:
            self._order = np.concatenate([self._order, self._rng.permutation(count)])
        chosen, self._order = self._order[: self._size], self._order[self._size :]
        return chosen

    def _mirrored(self, batch: Feeds) -> Feeds:
        if not self._augment.flip:
            return batch
        turned = self._rng.random(self._size) < 0.5
        found = dict(batch)
        for name, (_, columns) in self._planes.items():
            found[name] = batch[name].copy()
            found[name][turned] = np.flip(batch[name][turned], columns)
        return found

    def _moved(self, batch: Feeds) -> Feeds:
        """Move images by a random number of pixels each way; zeros come in."""
        most = self._augment.crop
        if not most:
            return batch
        rows, columns = self._rng.integers(0, 2 * most + 1, (2, self._size))
        return batch | {name: _cut(batch[name], self._planes[name], most, rows, columns) for name in self._planes}


def _cut(images: Array, plane: Plane, most: int, rows: Array, columns: Array) -> Array:
    """Cut every image out of itself with a border of ``most`` zeros, at a place of its own."""
    last = np.moveaxis(images, plane, (-2, -1))
    border = [(0, 0)] * (images.ndim - 2) + [(most, most)] * 2
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(last, border), last.shape[-2:], (-2, -1))
    picked = np.moveaxis(windows, (-4, -3), (1, 2))[np.arange(len(images)), rows, columns]
    return np.ascontiguousarray(np.moveaxis(picked, (-2, -1), plane))


def _mixed(values: Array, other: Array, share: Array) -> Array:
    weight = share.reshape(-1, *[1] * (values.ndim - 1)).astype(values.dtype)
    return np.asarray(weight * values + (1 - weight) * values[other])
