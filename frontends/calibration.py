"""Calibration data from ``.npz`` files, folders of them, Python functions or arrays, checked against the model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from ..ir.errors import CalibrationError
from ..ir.feeds import Calibration, batch_size, fixed_batches, length
from ..ir.graph import Array, Dim, Graph
from . import archive
from .drawn import drawn, stepwise
from .scripts import function, is_script

Pieces = Iterable[Mapping[str, Array]]
Data = str | Path | Mapping[str, Array] | Pieces | Callable[[], Pieces] | Calibration
_Placed = Callable[[], Iterator[tuple[str, Mapping[str, Array]]]]


def calibration(
    spec: Data, graph: Graph, *, samples: int | None = None, extra: Collection[str] = frozenset()
) -> Calibration:
    """Read calibration data for ``graph`` and check all of it.

    ``spec`` is an ``.npz`` file whose keys are the model's inputs (samples first), a folder of such files,
    ``script.py:function`` or a function that yields dicts (each a batch of samples), a dict of arrays, or a list of
    dicts. The first ``samples`` samples are taken, cut to whole batches when the model fixes its batch size. ``extra``
    names arrays that are no inputs, such as labels, and stay with the samples.

    Raises CalibrationError for data that cannot be read, a wrong name, shape, dtype, NaN, Inf, or no samples.
    """
    inputs = tuple(_Input(each.name, each.shape or (), np.dtype(cast(Any, each.dtype))) for each in graph.inputs)
    names = _Names(tuple(each.name for each in inputs), frozenset(extra))
    placed = _placed(spec, graph, samples, names)
    source: Callable[[], Pieces] = _Checked(placed, inputs, names)
    if isinstance(placed, _Function):
        source = drawn(source(), placed.called, samples)
    return _counted(source, graph, samples, str(spec) if isinstance(spec, str | Path) else "the calibration data")


class _Input(NamedTuple):
    """What the model says of an input."""

    name: str
    shape: tuple[Dim, ...]
    dtype: np.dtype[Any]


class _Names(NamedTuple):
    """The arrays that data must have, and no others."""

    inputs: tuple[str, ...]
    extra: frozenset[str]


@dataclass(frozen=True)
class _Checked:
    """A source whose pieces are checked one by one. All sources are classes, so that processes can be sent them."""

    placed: _Placed
    inputs: tuple[_Input, ...]
    names: _Names

    def __call__(self) -> Iterator[Mapping[str, Array]]:
        first: dict[str, tuple[int, ...]] = {}
        for place, piece in self.placed():
            _check_piece(piece, place, self.names)
            for each in self.inputs:
                _check_array(piece[each.name], each, place)
                _check_alike(piece[each.name], first, each.name, place)
            yield piece


def _counted(source: Callable[[], Pieces], graph: Graph, samples: int | None, called: str) -> Calibration:
    if len(fixed_batches(graph)) > 1:
        why = f"its inputs fix different leading dimensions: {sorted(fixed_batches(graph))}"
        raise CalibrationError("this model takes no calibration data", why=why, hint="export it with one batch size")
    count = 0
    for piece in source():
        count += length(piece)
        if samples is not None and count >= samples:
            count = samples
            break
    step = batch_size(graph, 1)
    if count < step:
        hint = f"the model takes {step} at a time" if step > 1 else "give at least one"
        raise CalibrationError(f"{called} holds {count} samples", hint=hint)
    return Calibration(source, count - count % step, step=step)


def _placed(spec: Data, graph: Graph, samples: int | None, names: _Names) -> _Placed:
    """Return a function that starts the stream anew; each piece comes with the name of where it was found."""
    if isinstance(spec, Calibration):
        return _Batches(spec, batch_size(graph, 64))
    if isinstance(spec, str | Path):
        return _from_text(str(spec), samples, names)
    if isinstance(spec, Mapping):
        return _One("the calibration data", cast(Mapping[str, Array], spec))
    if callable(spec):
        return _Function(spec, "the function", samples)
    if isinstance(spec, Iterator) or not isinstance(spec, Iterable):
        raise CalibrationError(
            "calibration data must be readable twice", hint="give a list, or the generator function itself"
        )
    return _Pieces(spec)


def _from_text(spec: str, samples: int | None, names: _Names) -> _Placed:
    path = Path(spec)
    if is_script(spec):
        return _Function(function(spec), spec, samples)
    if path.is_dir():
        files = sorted(path.glob("*.npz"))
        if not files:
            raise CalibrationError(f"no .npz file lies in '{path}'")
        return _Files(tuple(files), names)
    # One file is read once: decompressing it again for every pass over the data would cost more than its arrays.
    return _One(f"'{path}'", _arrays(path, names, samples))


@dataclass(frozen=True)
class _One:
    place: str
    arrays: Mapping[str, Array]

    def __call__(self) -> Iterator[tuple[str, Mapping[str, Array]]]:
        yield self.place, self.arrays


@dataclass(frozen=True)
class _Batches:
    whole: Calibration
    size: int

    def __call__(self) -> Iterator[tuple[str, Mapping[str, Array]]]:
        return (("a batch", batch) for batch in self.whole.batches(self.size))


@dataclass(frozen=True)
class _Files:
    files: tuple[Path, ...]
    names: _Names

    def __call__(self) -> Iterator[tuple[str, Mapping[str, Array]]]:
        return ((f"'{file}'", _arrays(file, self.names)) for file in self.files)


@dataclass(frozen=True)
class _Pieces:
    pieces: Pieces

    def __call__(self) -> Iterator[tuple[str, Mapping[str, Array]]]:
        return ((f"batch {place}", piece) for place, piece in enumerate(self.pieces))


@dataclass(frozen=True)
class _Function:
    made: Callable[[], Pieces]
    called: str
    samples: int | None

    def __call__(self) -> Iterator[tuple[str, Mapping[str, Array]]]:
        pieces = stepwise(self.made, self.called, self.samples)
        return ((f"batch {place} of {self.called}", piece) for place, piece in enumerate(pieces))


def _arrays(path: Path, names: _Names, rows: int | None = None) -> dict[str, Array]:
    wanted = (*names.inputs, *names.extra)
    found = archive.arrays(path, wanted, lambda held: _check_names(held, f"'{path}'", names), rows)
    return {name: array[:rows] if array.ndim else array for name, array in found.items()}


def _check_piece(piece: Mapping[str, Array], place: str, names: _Names) -> None:
    if not isinstance(piece, Mapping) or not all(isinstance(array, np.ndarray) for array in piece.values()):
        raise CalibrationError(f"{place} is no dict of numpy arrays", hint="yield {input name: array}")
    _check_names(piece, place, names)
    length(piece)


def _check_names(found: Collection[str], place: str, names: _Names) -> None:
    listed = ", ".join(f"'{name}'" for name in names.inputs)
    for name in (*names.inputs, *names.extra):
        if name not in found:
            held = ", ".join(f"'{key}'" for key in found) or "nothing"
            hint = f"the model's inputs are {listed}"
            raise CalibrationError(f"{place} has no array '{name}'", why=f"it has {held}", hint=hint)
    unknown = [name for name in found if name not in names.inputs and name not in names.extra]
    if unknown:
        hint = f"the model's inputs are {listed}; labels are named with --labels"
        raise CalibrationError(f"{place} has an array '{unknown[0]}' that is no input of the model", hint=hint)


def _check_array(array: Array, tensor: _Input, place: str) -> None:
    where = f"array '{tensor.name}' in {place}"
    declared = tensor.shape
    fixed = list(declared[1:])
    fits = array.ndim == len(declared) and all(
        not isinstance(dim, int) or dim in (0, size) for dim, size in zip(fixed, array.shape[1:], strict=True)
    )
    if not fits:
        wanted = ", ".join(["samples", *(str(dim or "any") for dim in fixed)])
        raise CalibrationError(
            f"{where} has the wrong shape", why=f"{list(array.shape)} where the model takes [{wanted}]"
        )
    if array.dtype != tensor.dtype:
        kind = tensor.dtype.name
        raise CalibrationError(
            f"{where} is {array.dtype.name}, the model takes {kind}",
            hint=f"prepare it as the model expects, then .astype('{kind}')",
        )
    if array.dtype.kind in "fV" and not np.isfinite(array).all():
        raise CalibrationError(f"{where} holds NaN or Inf", hint="check how the samples are made")


def _check_alike(array: Array, first: dict[str, tuple[int, ...]], name: str, place: str) -> None:
    shape = first.setdefault(name, array.shape[1:])
    if array.shape[1:] != shape:
        raise CalibrationError(
            f"array '{name}' in {place} has samples of shape {list(array.shape[1:])}, earlier ones have {list(shape)}",
            hint="bring all samples to one shape",
        )
