"""One streaming pass over the calibration data: mean and covariance of what every linear layer reads."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...ir.feeds import Calibration, batch_size
from ...ir.graph import Array, Graph
from ...ir.runner import Runner
from ...ir.shapes import Shape
from .linear import Linear
from .moments import Moments, sample_positions

LARGEST = 6000
_BATCH_BYTES = 256 * 2**20


@dataclass(frozen=True)
class InputMoments:
    """Moments of one layer's input, ``mean`` (g, d) and ``cov`` (g, d, d); only variances when ``cov`` is (g, d)."""

    mean: Array
    cov: Array

    @property
    def full(self) -> bool:
        """Whether covariances are known, not only variances."""
        return self.cov.ndim == 3


class _Running:
    """Streamed moments of one layer: exact pairwise merging for one group, shifted sums for many small ones."""

    def __init__(self, groups: int, width: int) -> None:
        self.single = Moments(width, 0) if groups == 1 and width <= LARGEST else None
        self.count = 0
        self.groups, self.width = groups, width
        self.shift: Array | None = None
        self.first: Array = np.zeros((groups, width))
        form = (groups, width) if width > LARGEST else (groups, width, width)
        self.second: Array = np.zeros(form if self.single is None else (0,))

    def update(self, rows: Array) -> None:
        """Add rows (g, n, d)."""
        if self.single is not None:
            self.single.update(rows[0], np.zeros((rows.shape[1], 0), rows.dtype))
            return
        values = rows.astype(np.float64)
        if self.shift is None:
            self.shift = values.mean(1)
        values -= self.shift[:, None]
        self.count += values.shape[1]
        self.first += values.sum(1)
        self.second += (values**2).sum(1) if self.second.ndim == 2 else values.transpose(0, 2, 1) @ values

    def result(self) -> InputMoments:
        """Return the moments so far."""
        if self.single is not None:
            return InputMoments(self.single.mean_x[None], self.single.cov_xx[None])
        assert self.shift is not None
        mean = self.first / self.count
        square = mean**2 if self.second.ndim == 2 else mean[:, :, None] * mean[:, None, :]
        return InputMoments(mean + self.shift, self.second / self.count - square)


def rows_wanted(width: int) -> int:
    """How many rows make a covariance of this width worth solving with: a few times its size, at least 16,384."""
    return max(16384, 4 * width)


def input_moments(
    graph: Graph,
    layers: Sequence[Linear],
    shapes: Mapping[str, Shape],
    calibration: Calibration,
    runner: Runner,
    rng: np.random.Generator,
) -> dict[str, InputMoments]:
    """Return the moments of every layer's input by node name; positions are sampled, each image with its own."""
    if not layers:
        return {}
    names = list(dict.fromkeys(layer.input for layer in layers))
    session = runner.session(graph, outputs=[n for n in names if n not in {t.name for t in graph.inputs}])
    running: dict[str, _Running] = {}
    size = batch_for(graph, names, shapes)
    for feeds in calibration.batches(size):
        values = {**feeds, **session.run(feeds)}
        for layer in layers:
            x = values[layer.input]
            spots = spots_for(layer, shapes[layer.output], len(x), calibration.samples, rng, _width(layer, shapes))
            rows = layer.rows(x, spots)
            running.setdefault(layer.node, _Running(len(rows), rows.shape[2])).update(rows)
    return {node: state.result() for node, state in running.items()}


def _width(layer: Linear, shapes: Mapping[str, Shape]) -> int:
    x = shapes[layer.input]
    if layer.geometry is None:
        return x[-2] if layer.columns else x[-1]
    return x[1] // layer.groups * int(np.prod(layer.geometry.kernel))


def spots_for(
    layer: Linear, y_shape: Shape, images: int, samples: int, rng: np.random.Generator, width: int
) -> Array | None:
    """Choose output positions so that all samples together give about :func:`rows_wanted` rows."""
    if layer.geometry is None:
        return None
    per_image = max(1, -(-rows_wanted(width) // max(samples, 1)))
    return sample_positions(rng, images, layer.positions(y_shape), per_image)


def batch_for(graph: Graph, names: Iterable[str], shapes: Mapping[str, Shape]) -> int:
    """Choose a batch such that the named tensors together stay within a fixed number of bytes."""
    each = sum(4 * int(np.prod(shapes[name][1:])) for name in names if name in shapes)
    return batch_size(graph, max(1, min(64, _BATCH_BYTES // max(each, 1))))
