"""``fix``: inputs of one value become part of the model, sizes are set; branches that they decide are written out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backends.ort import OrtRunner
from ..ir.errors import UsageError, VerificationError
from ..ir.graph import Array, Graph, Tensor
from ..ir.held import hold_sizes, hold_values
from ..ir.runner import Session
from ..ir.shapes import declared
from ..ir.sizes import Statement, check
from ..ir.verify import verify
from ..passes.base import Context
from ..passes.manager import apply
from ..passes.pipelines import FIRST, PASSES
from . import evaluation
from .api import Source, load
from .compare import differences
from .sizing import InputShapes, notes, shapes, sized

_ATOL, _RTOL = 1e-5, 1e-3


@dataclass(frozen=True)
class Fixed:
    """A model with fewer inputs, and what to say of it."""

    graph: Graph
    lines: tuple[str, ...]
    held: dict[str, Any]


def fix(
    source: Source,
    values: Mapping[str, Any] | None = None,
    *,
    input_shapes: InputShapes | None = None,
    trust: bool = False,
) -> Graph:
    """Hold inputs at one value or size each, write every If that these decide as the branch it takes, and return the
    model.

    ``values``: numbers, lists or arrays by the name of the input; one number fills an input of any fixed shape. These
    inputs go. ``input_shapes``: sizes that inputs have from now on, the batch among them. Outputs are compared on
    random inputs.

    Raises UsageError for a name or value that does not fit, InvalidModelError, VerificationError where outputs differ.
    """
    return fixed(source, values or {}, input_shapes, trust=trust).graph


def fixed(
    source: Source, values: Mapping[str, Any], input_shapes: InputShapes | None = None, *, trust: bool = False
) -> Fixed:
    """Do what :func:`fix` does, and say what has changed."""
    runner = OrtRunner()
    original = load(source, input_shapes=input_shapes, trust=trust)
    held = {name: _value(original, name, value) for name, value in values.items()}
    if len(held) == len(original.inputs):
        raise UsageError("no input would be left", hint="leave out one that the model is to read")
    sizes = _sizes(original, input_shapes)
    graph = original.copy()
    hold_values(graph, held)
    hold_sizes(graph, {name: shape for name, shape in sizes.items() if name not in held})
    apply(PASSES[FIRST](), graph, Context(runner, graph.copy()))
    verify(graph)
    said = _compared(original, graph, held, runner, input_shapes)
    gone, there = (len(list(each.every_node())) for each in (graph, original))
    lines = [f"inputs that are part of the model now: {', '.join(held)}"] if held else []
    lines += [f"input '{name}' takes {'x'.join(map(str, shape))} and nothing else now" for name, shape in sizes.items()]
    lines += [f"{there} nodes became {gone}", *said]
    return Fixed(graph, tuple(lines), {name: array.tolist() for name, array in held.items()})


def parsed(texts: Sequence[str]) -> dict[str, Any]:
    """Read ``name=value`` texts, values as JSON. Raises UsageError."""
    found = {}
    for text in texts:
        name, given, value = text.partition("=")
        try:
            found[name] = json.loads(value)
        except ValueError as error:
            hint = "write NAME=VALUE: sr=16000, flag=true, or size=[480,640]"
            raise UsageError(f"'{text}' says no input and value", hint=hint) from error
    return found


def _sizes(graph: Graph, input_shapes: InputShapes | None) -> dict[str, Sequence[int]]:
    """Return the shapes that inputs are to have. Raises UsageError for one that does not fit."""
    found = shapes(input_shapes)
    for name, shape in found.items():
        check(declared(graph), Statement(f"input shape {list(shape)} of '{name}'", name, tuple(shape)))
    return found


def _value(graph: Graph, name: str, value: Any) -> Array:
    """Return a value as the input takes it. Raises UsageError."""
    tensor = next((each for each in graph.inputs if each.name == name), None)
    if tensor is None:
        raise UsageError(f"the model has no input '{name}'", hint=f"one of {', '.join(t.name for t in graph.inputs)}")
    try:
        array = np.asarray(value)
        kept = array.astype(tensor.dtype)
    except (TypeError, ValueError) as error:
        raise UsageError(f"'{value}' is no value for input '{name}'", why=str(error)) from error
    if not np.array_equal(kept, array) and kept.dtype.kind != "f":
        raise UsageError(f"'{value}' is no value for input '{name}'", why=f"it holds {tensor.dtype}")
    return _shaped(tensor, kept)


def _shaped(tensor: Tensor, array: Array) -> Array:
    """Give a number the shape of an input, and check that of others. Raises UsageError."""
    dims = tensor.shape
    sizes = [dim for dim in dims or () if isinstance(dim, int) and dim > 0]
    if dims is None or array.shape == dims:
        return array
    if array.ndim == 0 and len(sizes) == len(dims):
        return np.full(sizes, array)
    fits = array.ndim == len(dims) and all(
        want == size for want, size in zip(dims, array.shape, strict=True) if isinstance(want, int) and want > 0
    )
    if fits:
        return array
    raise UsageError(f"input '{tensor.name}' has shape {list(dims)}, the value {list(array.shape)}")


class _Holding:
    """A session of the original that gets the held inputs besides."""

    def __init__(self, session: Session, held: Mapping[str, Array]) -> None:
        self._session, self._held = session, held

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return every declared output by name."""
        return self._session.run({**feeds, **self._held})

    def try_out(self, feeds: Mapping[str, Array], seconds: float) -> None:
        """Run once, for at most ``seconds``."""
        self._session.try_out({**feeds, **self._held}, seconds)


def _compared(
    original: Graph, graph: Graph, held: Mapping[str, Array], runner: OrtRunner, input_shapes: InputShapes | None
) -> tuple[str, ...]:
    """Compare outputs on random inputs, and say on which. Raises VerificationError where they differ."""
    graph.sizes = sized(graph, runner, input_shapes).sizes
    before, after = _Holding(runner.session(original, exact=True), held), runner.session(graph, exact=True)
    samples = evaluation.at_random(graph, after, 0)
    for name, found in differences(before, after, samples, _ATOL, _RTOL).items():
        if not found.within:
            raise VerificationError(f"output '{name}' differs by {found.absolute:.3g}", why="the value held decides it")
    return (f"outputs are the same on {samples.origin}", *notes(graph))
