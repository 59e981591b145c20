"""Inputs of a model: streams of calibration samples, and random ones for models that come without data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from .errors import CalibrationError, InvalidModelError, UsageError
from .graph import Array, Graph
from .shapes import declared, input_sizes
from .sizes import Sizes, named

Feeds = dict[str, Array]
Source = Callable[[], Iterable[Mapping[str, Array]]]
Axes = Mapping[str, int | None]
Shapes = tuple[tuple[int, ...], ...]

_WAITING = 8  # batches' worth of samples that may wait for others of their shape


@dataclass(frozen=True)
class Calibration:
    """A stream of samples that can be read many times; only one batch is held at a time.

    ``source`` starts the stream anew: it yields dicts of arrays whose first axis counts samples, in pieces of any
    length. ``samples`` is how many there are from sample ``first`` on; more that ``source`` would yield are not read.
    A model of fixed batch size takes ``step`` samples at a time: every cut is made between such batches. ``notes`` say
    what was done to the data when they were read; ``others`` are the same samples as they might be meant to be read
    too, by what these ways are called. ``axes``: which axis of an array counts samples where that is not the first;
    ``constants``: arrays that stand in every batch as they are. ``uneven``: samples have several shapes.
    """

    source: Source
    samples: int
    first: int = 0
    step: int = 1
    notes: tuple[str, ...] = ()
    others: Mapping[str, Source] = field(default_factory=dict, repr=False)
    axes: Mapping[str, int] = field(default_factory=dict)
    constants: Mapping[str, Array] = field(default_factory=dict)
    uneven: bool = False

    @staticmethod
    def from_arrays(arrays: Mapping[str, Array]) -> Calibration:
        """Wrap arrays in memory, one an input, samples first. Raises CalibrationError when their lengths differ."""
        return Calibration(_Held((arrays,)), length(arrays))

    def gathered(self) -> Calibration:
        """Return the same samples held in memory, so that processes can be sent them."""
        return replace(self, source=_Held(tuple(self._pieces())), first=0, others={})

    def batches(self, size: int) -> Iterator[Feeds]:
        """Yield every sample once, ``size`` at a time, in order; only the last batch may be shorter.

        Samples of several shapes come in batches of one shape each, the last of each shorter, and then not in order.
        """
        held: dict[Shapes, list[Feeds]] = {}
        counts: dict[Shapes, int] = {}
        for piece in self._pieces():
            key, whole, start = _shapes(piece, self.lie), length(piece, self.lie), 0
            while start < whole:
                part = cut(piece, start, start + size - counts.get(key, 0), self.lie)
                start, counts[key] = start + length(part, self.lie), counts.get(key, 0) + length(part, self.lie)
                held.setdefault(key, []).append(part)
                full = counts[key] == size
                if full or sum(counts.values()) >= _WAITING * size:
                    chosen = key if full else max(counts, key=counts.__getitem__)
                    yield self._joined(held.pop(chosen))
                    del counts[chosen]
        yield from (self._joined(parts) for parts in held.values())

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
        kept = tuple(names)
        constants = {name: array for name, array in self.constants.items() if name in kept}
        return replace(self, source=_Only(self.source, kept), constants=constants)

    def check_even(self, what: str) -> None:
        """Raise UsageError where ``what`` needs samples of one shape, and these have several."""
        if self.uneven:
            raise UsageError(f"{what} needs samples of one shape, these have several", hint="choose another method")

    def _whole(self, count: int) -> int:
        return count - count % self.step

    @property
    def lie(self) -> Axes:
        """Which axis counts samples where it is not the first, None for what is the same at every run."""
        return {**self.axes, **dict.fromkeys(self.constants)}

    def _joined(self, parts: list[Feeds]) -> Feeds:
        found = parts[0] if len(parts) == 1 else _end_to_end(parts, self.lie)
        return {**found, **self.constants}

    def _pieces(self) -> Iterator[Feeds]:
        begin, end, place = self.first, self.first + self.samples, 0
        if self.samples == 0:
            return
        for piece in self.source():
            count = length(piece, self.lie)
            yield cut(piece, max(begin - place, 0), min(end - place, count), self.lie)
            place += count
            if place >= end:
                return


@dataclass(frozen=True)
class _Held:
    """A source of pieces in memory; a class and no function, so that processes can be sent it."""

    pieces: tuple[Mapping[str, Array], ...]

    def __call__(self) -> Iterable[Mapping[str, Array]]:
        return self.pieces


@dataclass(frozen=True)
class _Only:
    source: Source
    names: tuple[str, ...]

    def __call__(self) -> Iterable[Mapping[str, Array]]:
        return ({name: piece[name] for name in self.names if name in piece} for piece in self.source())


def length(arrays: Mapping[str, Array], lie: Axes = MappingProxyType({})) -> int:
    """Return how many samples the arrays hold, along their first axes, or as they ``lie``.

    Raises CalibrationError when they disagree or have no such axis.
    """
    axes = {name: axis for name in arrays if (axis := lie.get(name, 0)) is not None}
    counts = {name: arrays[name].shape[axis : axis + 1] for name, axis in axes.items()}
    if len(set(counts.values())) != 1 or () in counts.values():
        found = ", ".join(f"'{name}' {list(arrays[name].shape)}" for name in arrays)
        hint = "the first axis counts samples; --input NAME=constant|batch:AXIS|state says otherwise"
        raise CalibrationError("the arrays do not hold equally many samples", why=found, hint=hint)
    ((count,),) = set(counts.values())
    return int(count)


def suited(graph: Graph, samples: Calibration | None) -> Graph:
    """Return the graph, or a copy that keeps how the samples lie along its inputs where that is not axis by axis."""
    if samples is None or not samples.lie:
        return graph
    copy = graph.copy()
    copy.sizes = replace(graph.sizes or Sizes(), axes=samples.axes, constants=samples.constants)
    return copy


def lying(graph: Graph) -> Axes:
    """Return how samples lie along the inputs of a graph, as :attr:`Calibration.lie`.

    Scalars are no samples; nor, where a model takes one sample at a time, is what says nothing of the batch.
    """
    sizes, dims = graph.sizes or Sizes(), named(declared(graph))
    scalars = (tensor.name for tensor in graph.inputs if tensor.shape == ())
    places = {name: own.index(None) for name, own in dims.items() if None in own[1:] and own[0] is not None}
    fixed = (name for name, own in dims.items() if sizes.alone and None not in own)
    return {**places, **dict.fromkeys(fixed), **sizes.axes, **dict.fromkeys((*sizes.constants, *scalars))}


def repeated(arrays: Mapping[str, Array], count: int, lie: Axes) -> Feeds:
    """Repeat samples until there are ``count``."""
    numbers = np.arange(count) % length(arrays, lie)
    axes = {name: lie.get(name, 0) for name in arrays}
    return {name: arrays[name] if axis is None else np.take(arrays[name], numbers, axis) for name, axis in axes.items()}


def first(arrays: Mapping[str, Array], lie: Axes) -> Feeds:
    """Keep one sample."""
    return cut(arrays, 0, 1, lie)


def batch_size(graph: Graph, wanted: int) -> int:
    """Return how many samples one run takes: ``wanted``, or what the model fixes."""
    fixed = fixed_batches(graph)
    return fixed.pop() if len(fixed) == 1 else wanted


def fixed_batches(graph: Graph) -> set[int]:
    """Return the leading dimensions that the inputs fix, or 1 where the model runs on one sample at a time.

    With several, none of them counts samples.
    """
    if graph.sizes is not None and graph.sizes.alone:
        return {1}
    lie, found = lying(graph), {t.name: t.shape for t in graph.inputs}
    counts = [shape[0] for name, shape in found.items() if shape and name not in lie]
    return {count for count in counts if isinstance(count, int) and count > 0}


def random_feeds(graph: Graph, rng: np.random.Generator, batch: int) -> Feeds:
    """Draw one input each: floats standard normal, 8-bit integers over their range, other integers below 4, fair coins.

    Shapes are those of :func:`input_sizes` for ``batch`` samples; constants are as the samples have them. Raises
    InvalidModelError for an input without a declared rank, or of a type that is not numeric.
    """
    sizes, constants = input_sizes(graph, batch), (graph.sizes or Sizes()).constants
    drawn = (tensor for tensor in graph.inputs if tensor.name not in constants)
    return {**constants, **{each.name: _random(each.name, sizes[each.name], each.dtype, rng) for each in drawn}}


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


def cut(arrays: Mapping[str, Array], start: int, stop: int, lie: Axes) -> Feeds:
    """Keep the samples from ``start`` to before ``stop``."""
    found = {}
    for name, array in arrays.items():
        axis = lie.get(name, 0)
        found[name] = array if axis is None else array[(slice(None),) * axis + (slice(start, stop),)]
    return found


def _end_to_end(parts: list[Feeds], lie: Axes) -> Feeds:
    axes = {name: lie.get(name, 0) for name in parts[0]}
    return {
        name: parts[0][name] if axis is None else np.concatenate([part[name] for part in parts], axis)
        for name, axis in axes.items()
    }


def _shapes(arrays: Mapping[str, Array], lie: Axes) -> Shapes:
    """Return the shapes of samples."""
    return tuple(array.shape for array in cut(arrays, 0, 1, lie).values())
