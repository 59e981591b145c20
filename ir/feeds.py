"""Inputs of a model: streams of calibration samples, and random ones for models that come without data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from .errors import CalibrationError, InvalidModelError
from .graph import Array, Graph
from .shapes import input_sizes

Feeds = dict[str, Array]
Source = Callable[[], Iterable[Mapping[str, Array]]]


@dataclass(frozen=True)
class Calibration:
    """A stream of samples that can be read many times; only one batch is held at a time.

    ``source`` starts the stream anew: it yields dicts of arrays whose first axis counts samples, in pieces of any
    length. ``samples`` is how many there are from sample ``first`` on; more that ``source`` would yield are not read.
    A model of fixed batch size takes ``step`` samples at a time: every cut is made between such batches. ``notes`` say
    what was done to the data when they were read; ``others`` are the same samples as they might be meant to be read
    too, by what these ways are called.
    """

    source: Source
    samples: int
    first: int = 0
    step: int = 1
    notes: tuple[str, ...] = ()
    others: Mapping[str, Source] = field(default_factory=dict, repr=False)

    @staticmethod
    def from_arrays(arrays: Mapping[str, Array]) -> Calibration:
        """Wrap arrays in memory, one an input, samples first. Raises CalibrationError when their lengths differ."""
        return Calibration(_Held(arrays), length(arrays))

    def batches(self, size: int) -> Iterator[Feeds]:
        """Yield every sample in order, ``size`` at a time; only the last batch may be shorter."""
        held: list[Feeds] = []
        count = 0
        for piece in self._pieces():
            start = 0
            while start < length(piece):
                part = _cut(piece, start, start + size - count)
                start, count = start + length(part), count + length(part)
                held.append(part)
                if count == size:
                    yield _joined(held)
                    held, count = [], 0
        if held:
            yield _joined(held)

    def head(self, count: int) -> Calibration:
        """Keep the first ``count`` samples, or all when there are fewer, in whole batches of ``step``, at least one."""
        whole = max(self._whole(count), self.step) if count > 0 else 0
        return replace(self, samples=min(whole, self.samples))

    def tail(self, count: int) -> Calibration:
        """Leave the first ``count`` samples out, or as many as make whole batches of ``step``."""
        skipped = min(self._whole(count), self.samples)
        return replace(self, samples=self.samples - skipped, first=self.first + skipped)

    def only(self, names: Iterable[str]) -> Calibration:
        """Keep these arrays of each sample."""
        return replace(self, source=_Only(self.source, tuple(names)))

    def _whole(self, count: int) -> int:
        return count - count % self.step

    def _pieces(self) -> Iterator[Feeds]:
        begin, end, place = self.first, self.first + self.samples, 0
        if self.samples == 0:
            return
        for piece in self.source():
            count = length(piece)
            yield _cut(piece, max(begin - place, 0), min(end - place, count))
            place += count
            if place >= end:
                return


@dataclass(frozen=True)
class _Held:
    """A source of one piece; a class and no function, so that processes can be sent it."""

    arrays: Mapping[str, Array]

    def __call__(self) -> Iterable[Mapping[str, Array]]:
        return [self.arrays]


@dataclass(frozen=True)
class _Only:
    source: Source
    names: tuple[str, ...]

    def __call__(self) -> Iterable[Mapping[str, Array]]:
        return ({name: piece[name] for name in self.names} for piece in self.source())


def length(arrays: Mapping[str, Array]) -> int:
    """Return how many samples the arrays hold. Raises CalibrationError when they disagree or have no first axis."""
    counts = {name: array.shape[:1] for name, array in arrays.items()}
    if len(set(counts.values())) != 1 or () in counts.values():
        found = ", ".join(f"'{name}' {list(arrays[name].shape)}" for name in arrays)
        raise CalibrationError(
            "the arrays do not hold equally many samples", why=found, hint="the first axis counts samples"
        )
    ((count,),) = set(counts.values())
    return int(count)


def batch_size(graph: Graph, wanted: int) -> int:
    """Return how many samples one run takes: ``wanted``, or what the model fixes."""
    fixed = fixed_batches(graph)
    return fixed.pop() if len(fixed) == 1 else wanted


def fixed_batches(graph: Graph) -> set[int]:
    """Return the leading dimensions that the inputs fix; with several, none of them counts samples."""
    return {shape[0] for t in graph.inputs if (shape := t.shape) and isinstance(shape[0], int) and shape[0] > 0}


def random_feeds(graph: Graph, rng: np.random.Generator, batch: int) -> Feeds:
    """Draw one input each: floats standard normal, 8-bit integers over their range, other integers below 4, fair coins.

    Shapes are those of :func:`input_sizes` for ``batch`` samples. Raises InvalidModelError for an input without a
    declared rank, or of a type that is not numeric.
    """
    sizes = input_sizes(graph, batch)
    return {tensor.name: _random(tensor.name, sizes[tensor.name], tensor.dtype, rng) for tensor in graph.inputs}


def _random(name: str, shape: tuple[int, ...], dtype: object, rng: np.random.Generator) -> Array:
    kind = np.dtype(dtype)  # type: ignore[call-overload]
    if kind.kind == "b":
        return rng.integers(0, 2, shape).astype(kind)
    if kind.kind in "iu" and kind.itemsize == 1:
        limits = np.iinfo(kind)
        return rng.integers(limits.min, limits.max, shape, kind, endpoint=True)
    if kind.kind in "iu":
        return rng.integers(0, 4, shape).astype(kind)
    if kind.kind in "fV":
        return rng.standard_normal(shape).astype(kind)
    raise InvalidModelError(f"no random values can be drawn for input '{name}' of type {kind}", hint="give --data")


def _cut(arrays: Mapping[str, Array], start: int, stop: int) -> Feeds:
    return {name: array[start:stop] for name, array in arrays.items()}


def _joined(parts: list[Feeds]) -> Feeds:
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
