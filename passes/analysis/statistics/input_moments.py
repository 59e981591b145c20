"""Mean and covariance of what every linear layer reads, streamed over the calibration data in bounded memory."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np

from ....ir.feeds import Calibration, Feeds, batch_size
from ....ir.graph import Array, Graph
from ....ir.runner import Runner
from ....ir.shapes import Shape
from ....ir.workers import IN_PROCESS, InProcess, Workers, in_order
from ..layers.linear import Linear
from .halves import LARGEST as LARGEST
from .halves import Halves, RunningHalves, added, together
from .halves import InputMoments as InputMoments
from .moments import sample_positions
from .spill import Shelf, Shelved

_BATCH_BYTES = 256 * 2**20
_ACCUMULATED = 2**31
_SHELVED = 2**29
_SHARD = 128  # samples at least, and batches:
_BATCHES = 8


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
    workers: Workers = IN_PROCESS,
) -> StoredMoments:
    """Return the moments of every layer's input by node name; positions are sampled, each image with its own.

    ``rows``: how many rows a convolution's moments are taken from, :func:`rows_wanted` by default. The samples are cut
    into shards, whose sums ``workers`` take and which are added up in order: the result is the same wherever that is.
    The data are read once where all matrices fit in memory together, else once for every few layers, with the same
    result.
    """
    found = StoredMoments()
    size = batch_for(graph, {layer.input for layer in layers}, shapes)
    draws = dict(zip((layer.node for layer in layers), rng.spawn(len(layers)), strict=True))
    shards = _shards(calibration, size)
    here = isinstance(workers, InProcess) or len(shards) == 1
    for chunk in _chunks(layers, len(shards), here):
        plan = ShardPlan(tuple(chunk), size, rows, {layer.node: draws[layer.node] for layer in chunk})
        held = graph, plan, calibration if here else calibration.gathered(), runner
        sums = dict[str, Halves]()
        for part in in_order((IN_PROCESS if here else workers).each(shard_sums, held, shards)):
            for node in list(part):
                halves = part.pop(node)
                sums[node] = added(sums[node], halves) if node in sums else halves
        for node in list(sums):
            found.add(node, together(sums.pop(node)))  # frees the halves one by one
    return found


@dataclass(frozen=True)
class ShardPlan:
    """What is to be measured of a shard: the inputs of ``layers``, ``size`` samples at a time. ``rows`` as above;
    ``draws``: what chooses positions, as it is before the first sample of all.
    """

    layers: tuple[Linear, ...]
    size: int
    rows: int | None
    draws: Mapping[str, np.random.Generator]


def shard_sums(
    graph: Graph, plan: ShardPlan, calibration: Calibration, runner: Runner, shard: tuple[int, int]
) -> dict[str, Halves]:
    """Return the sums of a shard, the numbers of its first sample and of the first behind, by the layer's node name."""
    begin, end = shard
    running = {layer.node: RunningHalves(layer.groups, layer.fan_in) for layer in plan.layers}
    draws, skipped = deepcopy(dict(plan.draws)), begin
    batches = calibration.tail(begin).head(end - begin).batches(plan.size)
    for values in _inputs(graph, plan.layers, batches, runner):
        for layer in plan.layers:
            x, draw = values[layer.input], draws[layer.node]
            _skip(draw, layer, x, skipped)
            spots = spots_for(layer, x, calibration.samples, draw, plan.rows)
            running[layer.node].update(layer.rows(x, spots), len(x))
        skipped = 0
    return {node: running.pop(node).sums() for node in list(running)}


def _skip(draw: np.random.Generator, layer: Linear, x: Array, images: int) -> None:
    """Go on to where the positions of earlier images have been drawn, one number for each position that there is."""
    if layer.geometry is not None:
        draw.bit_generator.advance(images * layer.geometry.positions(x.shape[2:]))  # type: ignore[attr-defined]


def _shards(calibration: Calibration, size: int) -> list[tuple[int, int]]:
    """Cut samples into shards of whole batches, the same whoever takes their sums."""
    length = size * max(_BATCHES, -(-_SHARD // size))
    begins = range(0, max(calibration.samples, 1), length)
    return [(begin, min(begin + length, calibration.samples)) for begin in begins]


def _chunks(layers: Sequence[Linear], shards: int, here: bool) -> Iterator[list[Linear]]:
    """Cut the layers into runs whose matrices together stay within a fixed number of bytes.

    With several shards those of the last one stand beside the sums; elsewhere all shards may be done before the first.
    """
    copies = 1 if shards == 1 else 2 if here else 1 + shards
    chunk: list[Linear] = []
    total = 0
    for layer in layers:
        entries = layer.fan_in**2 if layer.fan_in <= LARGEST else layer.fan_in
        needed = copies * 2 * 8 * layer.groups * entries
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
