"""Calibration data from files, folders, Python functions or arrays, fitted to the model and checked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np

from ..ir.errors import CalibrationError, UsageError
from ..ir.feeds import Calibration, Feeds, Source, batch_size, fixed_batches, suited
from ..ir.graph import Array, Graph
from .data.drawn import drawn
from .data.files import missing, of_file
from .data.fit import Fit
from .data.folders import of_folder
from .data.form import Form
from .data.images import Images
from .data.preprocess import Preprocess
from .data.roles import Role, aside, roles
from .data.sources import Batches, Function, One, Pieces, Placed
from .scripts import function, is_script

Data = (
    str
    | Path
    | Array
    | Mapping[str, Array]
    | Iterable[Mapping[str, Array] | Array]
    | Callable[[], Iterable[Mapping[str, Array] | Array]]
    | Calibration
)


def calibration(
    spec: Data,
    graph: Graph,
    *,
    samples: int | None = None,
    extra: Collection[str] = frozenset(),
    preprocess: str | None = None,
    inputs: Sequence[str] = (),
) -> Calibration:
    """Read calibration data for ``graph`` and check all of it.

    ``spec`` is an ``.npz`` file whose keys are the model's inputs (samples first), an ``.npy`` or ``.csv`` file, a
    folder of ``.npz`` or ``.npy`` files, of test sets of onnx or of images, ``script.py:function`` or a function that
    yields dicts (each a batch of samples, or one), a dict of arrays, or a list of dicts; one array will do where the
    model has one input. The first ``samples`` samples are taken, cut to whole batches when the model fixes its batch
    size. ``extra`` names arrays that are no inputs, such as labels, and stay with the samples.

    Images need ``preprocess``, as :class:`.data.preprocess.Preprocess` reads it; their labels are called ``folder``.
    ``inputs`` say how samples lie along inputs without an axis of samples in front, as :func:`.data.roles.roles` reads
    them, where neither the model nor the data tell. ``notes`` of the result say what was done.

    Raises UsageError for ``preprocess`` or ``inputs`` that cannot be read or do not suit, CalibrationError for data
    that cannot be read, a wrong name, shape, dtype, NaN, Inf, or no samples.
    """
    form = Form.of(graph, extra)
    asked = roles(inputs, form)
    if isinstance(spec, Calibration):
        asked = {**{name: Role(axis) for name, axis in spec.lie.items()}, **asked}
    optional = frozenset(name for name, role in asked.items() if role.zero)
    form = replace(form, optional=optional, aside=aside(form, asked))
    placed, fit = _placed(spec, graph, samples, form, preprocess), Fit(form, asked)
    source: Source = _Fitted(placed, fit)
    if isinstance(placed, Function):
        source = drawn(source(), fit.count, placed.called, samples)
    return replace(_counted(source, graph, samples, _called(spec), fit), others=_others(placed, form))


def _others(placed: Placed, form: Form) -> dict[str, Source]:
    """Return images under other preprocessing, without labels."""
    if not isinstance(placed, Images):
        return {}
    plain = Form(form.inputs)
    return {name: _Fitted(other, Fit(plain)) for name, other in placed.others().items()}


def _called(spec: Data) -> str:
    return str(spec) if isinstance(spec, str | Path) else "the calibration data"


@dataclass(frozen=True)
class _Fitted:
    """A source whose pieces are fitted to the model one by one."""

    placed: Placed
    fit: Fit

    def __call__(self) -> Iterator[Feeds]:
        return (self.fit(piece, place) for place, piece in self.placed())


def _counted(source: Source, graph: Graph, samples: int | None, called: str, fit: Fit) -> Calibration:
    count = 0
    for piece in source():
        count += fit.count(piece)
        if samples is not None and count >= samples:
            count = samples
            break
    axes = {name: axis for name, axis in (fit.lie or {}).items() if axis is not None}
    found = Calibration(source, count, axes=axes, constants=fit.constants, notes=tuple(fit.notes), uneven=fit.uneven)
    graph = suited(graph, found)
    if len(fixed_batches(graph)) > 1:
        why = f"its inputs fix different leading dimensions: {sorted(fixed_batches(graph))}"
        hint = "export it with one batch size, or say with --input NAME=constant which has none"
        raise CalibrationError("this model takes no calibration data", why=why, hint=hint)
    step = batch_size(graph, 1)
    if count < step:
        hint = f"the model takes {step} at a time" if step > 1 else "give at least one"
        raise CalibrationError(f"{called} holds {count} samples", hint=hint)
    return replace(found, samples=count - count % step, step=step)


def _placed(spec: Data, graph: Graph, samples: int | None, form: Form, preprocess: str | None) -> Placed:
    """Return a function that starts the stream anew; each piece comes with the name of where it was found."""
    by = None if preprocess is None else Preprocess.parse(preprocess)
    placed = _found(spec, graph, samples, form, by)
    if by is not None and not isinstance(placed, Images):
        raise UsageError("preprocess is for folders of images", why=f"{_called(spec)} is none")
    return placed


def _found(spec: Data, graph: Graph, samples: int | None, form: Form, preprocess: Preprocess | None) -> Placed:
    if isinstance(spec, Calibration):
        return Batches(spec, batch_size(graph, 64))
    if isinstance(spec, str | Path):
        return _from_text(str(spec), samples, form, preprocess)
    if isinstance(spec, Mapping | np.ndarray):
        return One("the calibration data", spec)
    if callable(spec):
        return Function(cast(Callable[[], object], spec), "the function", samples)
    if isinstance(spec, Iterator) or not isinstance(spec, Iterable):
        raise CalibrationError(
            "calibration data must be readable twice", hint="give a list, or the generator function itself"
        )
    return Pieces(spec)


def _from_text(spec: str, samples: int | None, form: Form, preprocess: Preprocess | None) -> Placed:
    path = Path(spec)
    if is_script(spec):
        return Function(function(spec), spec, samples)
    if path.is_dir():
        return of_folder(path, form, preprocess)
    if not path.is_file():
        raise missing(path)
    return of_file(path, form, samples)
