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
MOST_SHRINKAGE = 0.9
_BATCH_BYTES = 256 * 2**20


@dataclass(frozen=True)
class InputMoments:
    """Moments of one layer's input, ``mean`` (g, d) and ``cov`` (g, d, d); only variances when ``cov`` is (g, d).

    ``ridge`` (g,): how much of the mean variance to add on the diagonal, from how well two halves of the samples agree.
    """

    mean: Array
    cov: Array
    ridge: Array


class _Running:
    """Streamed moments of one layer: exact pairwise merging for one group, shifted sums for many small ones."""

    def __init__(self, groups: int, width: int) -> None:
        self.single = Moments(width, 0) if groups == 1 and width <= LARGEST else None
        self.count = 0
        self.shift: Array = np.zeros((groups, width))
        self.first: Array = np.zeros((groups, width))
        form = (groups, width) if width > LARGEST else (groups, width, width)
        self.second: Array = np.zeros(form if self.single is None else (0,))

    def update(self, rows: Array) -> None:
        """Add rows (g, n, d)."""
        if self.single is not None:
            self.single.update(rows[0], np.zeros((rows.shape[1], 0), rows.dtype))
            self.count = self.single.count
            return
        values = rows.astype(np.float64)
        if not self.count:
            self.shift = values.mean(1)
        values -= self.shift[:, None]
        self.count += values.shape[1]
        self.first += values.sum(1)
        self.second += (values**2).sum(1) if self.second.ndim == 2 else values.transpose(0, 2, 1) @ values

    def moments(self) -> tuple[Array, Array]:
        """Return mean (g, d) and covariance (g, d, d) or variances (g, d)."""
        if self.single is not None:
            return self.single.mean_x[None], self.single.cov_xx[None]
        mean = self.first / self.count
        square = mean**2 if self.second.ndim == 2 else mean[:, :, None] * mean[:, None, :]
        return mean + self.shift, self.second / self.count - square


class _Halves:
    """Two halves of the samples, kept apart until the end to see how far their covariances differ."""

    def __init__(self, groups: int, width: int) -> None:
        self.parts = (_Running(groups, width), _Running(groups, width))
        self.turn = 0

    def update(self, rows: Array, images: int) -> None:
        """Add a batch: its first images to one half, the others to the other; single images in turn."""
        if images == 1:
            self.parts[self.turn].update(rows)
            self.turn = 1 - self.turn
            return
        cut = rows.shape[1] // images * (images // 2)
        self.parts[0].update(rows[:, :cut])
        self.parts[1].update(rows[:, cut:])

    def result(self) -> InputMoments:
        """Return the moments of all samples together."""
        filled = [part for part in self.parts if part.count]
        if len(filled) == 1:
            mean, cov = filled[0].moments()
            return InputMoments(mean, cov, np.full(len(mean), 1.0))
        (mean_a, cov_a), (mean_b, cov_b) = (part.moments() for part in filled)
        return pooled(mean_a, cov_a, filled[0].count, mean_b, cov_b, filled[1].count)


def pooled(mean_a: Array, cov_a: Array, count_a: int, mean_b: Array, cov_b: Array, count_b: int) -> InputMoments:
    """Merge the moments of two halves; the ridge is Ledoit-Wolf shrinkage with the halves' difference as its noise.

    ``rho = (|A - B|^2 / 4) / |S - mu I|^2``, ridge ``rho / (1 - rho)`` (Ledoit, Wolf, J. Multivariate Analysis 2004;
    taking the noise from halves of the images, because rows of one image depend on each other, is ours).
    """
    share = count_a / (count_a + count_b)
    step = mean_a - mean_b
    between = step**2 if cov_a.ndim == 2 else step[:, :, None] * step[:, None, :]
    cov = share * cov_a + (1 - share) * cov_b + share * (1 - share) * between
    mean = share * mean_a + (1 - share) * mean_b
    if cov.ndim == 2:
        return InputMoments(mean, cov, np.zeros(len(mean)))
    noise = ((cov_a - cov_b) ** 2).sum((1, 2)) / 4
    level = np.einsum("gdd->g", cov) / cov.shape[1]
    spread = (cov**2).sum((1, 2)) - cov.shape[1] * level**2
    rho = np.clip(noise / np.maximum(spread, 1e-30), 0.0, MOST_SHRINKAGE)
    return InputMoments(mean, cov, rho / (1 - rho))


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
    running: dict[str, _Halves] = {}
    size = batch_for(graph, names, shapes)
    for feeds in calibration.batches(size):
        values = {**feeds, **session.run(feeds)}
        for layer in layers:
            x = values[layer.input]
            spots = spots_for(layer, shapes[layer.output], len(x), calibration.samples, rng, _width(layer, shapes))
            rows = layer.rows(x, spots)
            running.setdefault(layer.node, _Halves(len(rows), rows.shape[2])).update(rows, len(x))
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
