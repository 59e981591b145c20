"""One streaming pass over the calibration data: mean and covariance of what every linear layer reads."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...ir.feeds import Calibration, batch_size
from ...ir.graph import Array, Graph
from ...ir.runner import Runner
from ...ir.shapes import Shape
from .batched_moments import BatchedMoments
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
    """Streamed moments of one layer's rows; of inputs too wide for a covariance, each is a problem of its own."""

    def __init__(self, groups: int, width: int) -> None:
        self.form = groups, width
        self.narrow = width <= LARGEST
        self.state: Moments | BatchedMoments
        if groups == 1 and self.narrow:
            self.state = Moments(width, 0)
        else:
            self.state = BatchedMoments(*(self.form if self.narrow else (groups * width, 1)), 0)

    def update(self, rows: Array) -> None:
        """Add rows (g, n, d)."""
        if isinstance(self.state, Moments):
            self.state.update(rows[0], rows[0, :, :0])
            return
        values = rows if self.narrow else rows.transpose(0, 2, 1).reshape(-1, rows.shape[1], 1)
        self.state.update(values, values[:, :, :0])

    def moments(self) -> tuple[Array, Array]:
        """Return mean (g, d) and covariance (g, d, d) or variances (g, d)."""
        if isinstance(self.state, Moments):
            return self.state.mean_x[None], self.state.cov_xx[None]
        mean, cov = self.state.result()
        return (mean, cov) if self.narrow else (mean.reshape(self.form), cov.reshape(self.form))


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
        filled = [part for part in self.parts if part.state.count]
        if len(filled) == 1:
            mean, cov = filled[0].moments()
            return InputMoments(mean, cov, np.full(len(mean), 1.0))
        (mean_a, cov_a), (mean_b, cov_b) = (part.moments() for part in filled)
        return pooled(mean_a, cov_a, filled[0].state.count, mean_b, cov_b, filled[1].state.count)


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
    noise = _power(cov_a - cov_b) / 4
    level = np.einsum("gdd->g", cov) / cov.shape[1]
    spread = _power(cov) - cov.shape[1] * level**2
    rho = np.clip(noise / np.maximum(spread, 1e-30), 0.0, MOST_SHRINKAGE)
    return InputMoments(mean, cov, rho / (1 - rho))


def _power(matrices: Array) -> Array:
    return np.asarray(np.einsum("gij,gij->g", matrices, matrices))


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
    given = {tensor.name for tensor in graph.inputs}
    inner = [name for name in names if name not in given]
    session = runner.session(graph, outputs=inner) if inner else None
    running: dict[str, _Halves] = {}
    size = batch_for(graph, names, shapes)
    for feeds in calibration.batches(size):
        values = {**feeds, **session.run(feeds)} if session is not None else feeds
        for layer in layers:
            x = values[layer.input]
            if layer.node not in running:
                running[layer.node] = _Halves(layer.groups, layer.fan_in)
            running[layer.node].update(layer.rows(x, spots_for(layer, x, calibration.samples, rng)), len(x))
    return {node: running.pop(node).result() for node in list(running)}  # frees the halves one by one


def spots_for(layer: Linear, x: Array, samples: int, rng: np.random.Generator) -> Array | None:
    """Choose output positions so that all samples together give about :func:`rows_wanted` rows."""
    if layer.geometry is None:
        return None
    per_image = max(1, -(-rows_wanted(layer.fan_in) // max(samples, 1)))
    return sample_positions(rng, len(x), layer.geometry.positions(x.shape[2:]), per_image)


def batch_for(graph: Graph, names: Iterable[str], shapes: Mapping[str, Shape]) -> int:
    """Choose a batch such that the named tensors together stay within a fixed number of bytes."""
    each = sum(4 * int(np.prod(shapes[name][1:])) for name in names if name in shapes)
    return batch_size(graph, max(1, min(64, _BATCH_BYTES // max(each, 1))))
