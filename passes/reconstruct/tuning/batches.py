"""Random batches of calibration samples, changed as asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....ir.feeds import Feeds
from ....ir.graph import Array


@dataclass(frozen=True)
class Augment:
    """How samples are changed: images mirrored left to right, moved by up to ``crop`` pixels, and mixed.

    ``mixed``: the parameter of the Beta distribution that weights of two samples are drawn from; 0 mixes none.
    """

    flip: bool = False
    crop: int = 0
    mixed: float = 0.0


class Batches:
    """Draws batches of ``size`` from samples in memory; every sample comes once before any comes again."""

    def __init__(self, samples: Feeds, size: int, augment: Augment, rng: np.random.Generator) -> None:
        self._samples, self._size, self._augment, self._rng = samples, size, augment, rng
        self._order = np.empty(0, np.int64)

    def draw(self) -> Feeds:
        """Return the next batch."""
        chosen = self._next()
        batch = {name: self._changed(values[chosen]) for name, values in self._samples.items()}
        if not self._augment.mixed:
            return batch
        share = self._rng.beta(self._augment.mixed, self._augment.mixed, self._size).astype(np.float32)
        other = self._rng.permutation(self._size)
        return {name: _mixed(values, other, share) for name, values in batch.items()}

    def _next(self) -> Array:
        count = len(next(iter(self._samples.values())))
        while len(self._order) < self._size:
            self._order = np.concatenate([self._order, self._rng.permutation(count)])
        chosen, self._order = self._order[: self._size], self._order[self._size :]
        return chosen

    def _changed(self, values: Array) -> Array:
        if values.ndim != 4 or values.dtype.kind != "f":
            return values
        if self._augment.flip:
            turned = self._rng.random(len(values)) < 0.5
            values = np.where(turned[:, None, None, None], values[..., ::-1], values)
        return self._moved(values) if self._augment.crop else values

    def _moved(self, values: Array) -> Array:
        """Move every image by a random number of pixels each way; zeros come in."""
        most, (count, _, height, width) = self._augment.crop, values.shape
        wide = np.pad(values, ((0, 0), (0, 0), (most, most), (most, most)))
        windows = np.lib.stride_tricks.sliding_window_view(wide, (height, width), (2, 3))
        rows, columns = self._rng.integers(0, 2 * most + 1, (2, count))
        return np.ascontiguousarray(windows[np.arange(count), :, rows, columns])


def _mixed(values: Array, other: Array, share: Array) -> Array:
    if values.dtype.kind != "f":
        return values
    weight = share.reshape(-1, *[1] * (values.ndim - 1)).astype(values.dtype)
    return np.asarray(weight * values + (1 - weight) * values[other])
