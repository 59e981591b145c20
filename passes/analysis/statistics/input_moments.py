"""Mean and covariance of what every linear layer reads, streamed over the calibration data in bounded memory."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ....ir.feeds import Calibration, Feeds, batch_size
from ....ir.graph import Array, Graph
from ....ir.runner import Runner
from ....ir.shapes import Shape
from ..layers.linear import Linear
from .batched_moments import BatchedMoments
from .moments import Moments, sample_positions
from .spill import Shelf, Shelved

LARGEST = 6000
MOST_SHRINKAGE = 0.9
_BATCH_BYTES = 256 * 2**20
_ACCUMULATED = 2**31
_SHELVED = 2**29
_FEWEST_ROWS = 1024


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
            self.state = Moments(width, 0, single=True)
        else:
            self.state = BatchedMoments(*(self.form if self.narrow else (groups * width, 1)), 0)
        self.waiting: list[Array] = []
        self.count = 0

    def update(self, rows: Array) -> None:
        """Add rows (g, n, d). Few rows of a wide layer wait for more: every update touches the whole matrix."""
        self.waiting.append(rows)
        self.count += rows.shape[1]
        enough = max(_FEWEST_ROWS, self.form[1] // 2) if isinstance(self.state, Moments) else 1
        if sum(part.shape[1] for part in self.waiting) >= enough:
            self._flush()

    def _flush(self) -> None:
        rows = np.concatenate(self.waiting, 1) if len(self.waiting) > 1 else self.waiting[0]
        self.waiting.clear()
        if isinstance(self.state, Moments):
            self.state.update(rows[0], rows[0, :, :0])
            return
        values = rows if self.narrow else rows.transpose(0, 2, 1).reshape(-1, rows.shape[1], 1)
        self.state.update(values, values[:, :, :0])

    def moments(self) -> tuple[Array, Array]:
        """Return mean (g, d) and covariance (g, d, d) or variances (g, d)."""
        if self.waiting:
            self._flush()
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
        filled = [part for part in self.parts if part.count]
        if len(filled) == 1:
            mean, cov = filled[0].moments()
            return InputMoments(mean, cov, np.full(len(mean), 1.0))
        (mean_a, cov_a), (mean_b, cov_b) = (part.moments() for part in filled)
        return pooled(mean_a, cov_a, filled[0].count, mean_b, cov_b, filled[1].count)


def pooled(mean_a: Array, cov_a: Array, count_a: int, mean_b: Array, cov_b: Array, count_b: int) -> InputMoments:
    """Merge the moments of two halves, using their covariances up.

    The ridge is Ledoit-Wolf shrinkage with the halves' difference as its noise:
    ``rho = (|A - B|^2 / 4) / |S - mu I|^2``, ridge ``rho / (1 - rho)`` (Ledoit, Wolf, J. Multivariate Analysis 2004;
    taking the noise from halves of the images, because rows of one image depend on each other, is ours).
    """
    share = count_a / (count_a + count_b)
    step = mean_a - mean_b
    mean = share * mean_a + (1 - share) * mean_b
    cov, rest = cov_a, np.subtract(cov_b, cov_a, out=cov_b)
    noise = _power(rest) / 4 if cov.ndim > 2 else np.zeros(len(mean))
    rest *= 1 - share
    cov += rest
    step *= np.sqrt(share * (1 - share))
    cov += np.multiply(step[:, :, None], step[:, None, :], out=rest) if cov.ndim > 2 else step**2
    if cov.ndim == 2:
        return InputMoments(mean, cov, noise)
    level = np.einsum("gdd->g", cov) / cov.shape[1]
    spread = _power(cov) - cov.shape[1] * level**2
    rho = np.clip(noise / np.maximum(spread, 1e-30), 0.0, MOST_SHRINKAGE)
    return InputMoments(mean, cov, rho / (1 - rho))


def _power(matrices: Array) -> Array:
    return np.asarray(np.einsum("gij,gij->g", matrices, matrices))


class StoredMoments(Mapping[str, InputMoments]):
    """Moments of layers by node name; large covariances beyond a limit lie on disk until they are read."""

    def __init__(self) -> None:
        self._shelf = Shelf(_SHELVED)
        self._found: dict[str, tuple[Array, Shelved, Array]] = {}

    def add(self, node: str, moments: InputMoments) -> None:
        """Keep one layer's moments."""
        self._found[node] = moments.mean, self._shelf.put(moments.cov), moments.ridge

    def __getitem__(self, node: str) -> InputMoments:
        mean, cov, ridge = self._found[node]
        return InputMoments(mean, self._shelf.get(cov), ridge)

    def __contains__(self, node: object) -> bool:
        return node in self._found

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


class LazyMoments(Mapping[str, InputMoments]):
    """Moments that are measured when one is first asked for.

    ``key`` tells them from others of the same graph, samples and seed.
    """

    def __init__(self, make: Callable[[], Mapping[str, InputMoments]], key: tuple[int, ...] = ()) -> None:
        self._make, self.key = make, key
        self._made: Mapping[str, InputMoments] | None = None

    def _all(self) -> Mapping[str, InputMoments]:
        if self._made is None:
            self._made = self._make()
        return self._made

    def __getitem__(self, node: str) -> InputMoments:
        return self._all()[node]

    def __contains__(self, node: object) -> bool:
        return node in self._all()

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


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
    *,
    rows: int | None = None,
) -> StoredMoments:
    """Return the moments of every layer's input by node name; positions are sampled, each image with its own.

    ``rows``: how many rows a convolution's moments are taken from, :func:`rows_wanted` by default. The data are read
    once where all matrices fit in memory together, else once for every few layers, with the same result.
    """
    found = StoredMoments()
    size = batch_for(graph, {layer.input for layer in layers}, shapes)
    draws = dict(zip((layer.node for layer in layers), rng.spawn(len(layers)), strict=True))
    for chunk in _chunks(layers):
        running = {layer.node: _Halves(layer.groups, layer.fan_in) for layer in chunk}
        for values in _inputs(graph, chunk, calibration.batches(size), runner):
            for layer in chunk:
                x = values[layer.input]
                spots = spots_for(layer, x, calibration.samples, draws[layer.node], rows)
                running[layer.node].update(layer.rows(x, spots), len(x))
        for node in list(running):
            found.add(node, running.pop(node).result())  # frees the halves one by one
    return found


def _chunks(layers: Sequence[Linear]) -> Iterator[list[Linear]]:
    """Cut the layers into runs whose matrices together stay within a fixed number of bytes."""
    chunk: list[Linear] = []
    total = 0
    for layer in layers:
        entries = layer.fan_in**2 if layer.fan_in <= LARGEST else layer.fan_in
        needed = 2 * 8 * layer.groups * entries
        if chunk and total + needed > _ACCUMULATED:
            yield chunk
            chunk, total = [], 0
        chunk.append(layer)
        total += needed
    if chunk:
        yield chunk


def _inputs(graph: Graph, layers: Sequence[Linear], batches: Iterable[Feeds], runner: Runner) -> Iterator[Feeds]:
    """Yield what the layers read, batch by batch."""
    given = {tensor.name for tensor in graph.inputs}
    inner = list(dict.fromkeys(layer.input for layer in layers if layer.input not in given))
    session = runner.session(graph, outputs=inner) if inner else None
    for feeds in batches:
        yield {**feeds, **session.run(feeds)} if session is not None else feeds


def spots_for(layer: Linear, x: Array, samples: int, rng: np.random.Generator, rows: int | None = None) -> Array | None:
    """Choose output positions so that all samples together give about ``rows`` rows, or :func:`rows_wanted`."""
    if layer.geometry is None:
        return None
    per_image = max(1, -(-(rows or rows_wanted(layer.fan_in)) // max(samples, 1)))
    return sample_positions(rng, len(x), layer.geometry.positions(x.shape[2:]), per_image)


def batch_for(graph: Graph, names: Iterable[str], shapes: Mapping[str, Shape]) -> int:
    """Choose a batch such that the named tensors together stay within a fixed number of bytes."""
    each = sum(4 * int(np.prod(shapes[name][1:])) for name in names if name in shapes)
    return batch_size(graph, max(1, min(64, _BATCH_BYTES // max(each, 1))))
