"""``fix``: inputs of one value become part of the model, sizes are set; branches that they decide are written out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backends.ort import OrtRunner
from ..frontends.calibration import Data, calibration
from ..ir.attributes import RANDOM
from ..ir.errors import UnsupportedOpError, UsageError, VerificationError
from ..ir.graph import Array, Graph, Tensor
from ..ir.held import hold_sizes, hold_values, open_names
from ..ir.shapes import declared
from ..ir.sizes import Statement, agreed, check, written
from ..ir.verify import verify
from ..passes.base import Context
from ..passes.manager import apply
from ..passes.pipelines import FIRST, PASSES
from . import evaluation
from .api import Source, load
from .compare import difference
from .sizing import InputShapes, notes, shapes, sized

_ATOL, _RTOL = 1e-5, 1e-3
_NUMBERS = "biuf"


@dataclass(frozen=True)
class Fixed:
    """A model with fewer inputs or open sizes, what to say of it, and the values that are held."""

    graph: Graph
    lines: tuple[str, ...]
    held: dict[str, Any]


def fix(
    source: Source,
    values: Mapping[str, Any] | None = None,
    *,
    input_shapes: InputShapes | None = None,
    data: Data | None = None,
    trust: bool = False,
) -> Graph:
    """Hold inputs at one value or size each, write the Ifs that these decide as the branches they take, and return the
    model. Ifs inside loops and undecided branches stay.

    ``values``: numbers, lists or arrays by the name of the input; one number fills an input of any fixed shape. These
    inputs go. ``input_shapes``: sizes that inputs have from now on, the batch among them. Outputs are compared on
    ``data``, as :func:`.api.compress` takes it, else on random inputs.

    Raises UsageError for a name or value that does not fit, InvalidModelError, VerificationError where outputs differ,
    UnsupportedOpError where they are drawn at random.
    """
    return fixed(source, values or {}, input_shapes, data, trust=trust).graph


def fixed(
    source: Source,
    values: Mapping[str, Any],
    input_shapes: InputShapes | None = None,
    data: Data | None = None,
    *,
    trust: bool = False,
) -> Fixed:
    """Do what :func:`fix` does, and say what has changed."""
    original = load(source, input_shapes=input_shapes, trust=trust)
    given = {name: _value(original, name, value) for name, value in values.items()}
    if len(given) == len(original.inputs):
        raise UsageError("no input would be left", hint="leave out one that the model is to read")
    graph = original.copy()
    hold_sizes(graph, _sizes(original, given, shapes(input_shapes)))
    held = {tensor.name: _filled(tensor, given[tensor.name]) for tensor in graph.inputs if tensor.name in given}
    hold_values(graph, held)
    runner = OrtRunner()
    apply(PASSES[FIRST](), graph, Context(runner, graph.copy()))
    verify(graph)
    said = _compared(original, graph, held, runner, data)
    return Fixed(graph, (*_changes(original, graph), *said), {name: array.tolist() for name, array in held.items()})


def parsed(texts: Sequence[str]) -> dict[str, Any]:
    """Read ``name=value`` texts, values as JSON. Raises UsageError."""
    found: dict[str, Any] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if name in found:
            raise UsageError(f"input '{name}' is given two values")
        try:
            found[name] = json.loads(value)
        except ValueError as error:
            hint = "write NAME=VALUE: sr=16000, flag=true, or size=[480,640]"
            raise UsageError(f"'{text}' says no input and value", hint=hint) from error
    return found


def _value(graph: Graph, name: str, value: Any) -> Array:
    """Return a value in the type of the input. Raises UsageError for one that it cannot hold exactly, but for rounding
    of floats.
    """
    tensor = next((each for each in graph.inputs if each.name == name), None)
    if tensor is None:
        raise UsageError(f"the model has no input '{name}'", hint=f"one of {', '.join(t.name for t in graph.inputs)}")
    said = f"'{value}' is no value for input '{name}'"
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise UsageError(said, why=str(error)) from error
    kind = np.dtype(tensor.dtype)
    if array.dtype.kind not in _NUMBERS or kind.kind not in _NUMBERS:
        raise UsageError(said, why=f"it holds {kind}, and only finite numbers can be held")
    with np.errstate(all="ignore"):
        kept = array.astype(kind)
    if not (np.isfinite(kept).all() if kind.kind == "f" else np.array_equal(kept, array)):
        raise UsageError(said, why=f"it holds {kind}")
    return kept


def _sizes(graph: Graph, values: Mapping[str, Array], given: Mapping[str, Sequence[int]]) -> dict[str, int]:
    """Return what dimensions are to be, by name. Raises UsageError for what does not fit, or two that contradict."""
    dims = declared(graph)
    said = [Statement(f"input shape {list(shape)} of '{name}'", name, tuple(shape)) for name, shape in given.items()]
    whole = {name: array for name, array in values.items() if name in dims and array.ndim}
    said += [Statement(f"the value of '{name}'", name, array.shape) for name, array in whole.items()]
    for one in said:
        check(dims, one, any_batch=True)
    return agreed(open_names(graph), said, UsageError)


def _filled(tensor: Tensor, array: Array) -> Array:
    """Give one number the shape of its input. Raises UsageError where that is open."""
    dims = tensor.shape
    if array.ndim or not dims:
        return array
    sizes = [dim for dim in dims if isinstance(dim, int) and dim > 0]
    if len(sizes) < len(dims):
        why = f"its shape is [{written(dims)}]"
        raise UsageError(f"one number does not fill input '{tensor.name}'", why=why, hint="give --input-shape too")
    return np.full(sizes, array)


def _changes(original: Graph, graph: Graph) -> list[str]:
    """Say which inputs are gone, which have other sizes, and how many nodes there are."""
    left = {tensor.name: tensor for tensor in graph.inputs}
    gone = [tensor.name for tensor in original.inputs if tensor.name not in left]
    found = [f"inputs that are part of the model now: {', '.join(gone)}"] if gone else []
    for tensor in original.inputs:
        if tensor.name in left and tensor.shape != left[tensor.name].shape:
            found.append(f"input '{tensor.name}' takes [{written(left[tensor.name].shape or ())}] now")
    counts = (len(list(each.every_node())) for each in (original, graph))
    return [*found, "{} nodes became {}".format(*counts)]


def _compared(
    original: Graph, graph: Graph, held: Mapping[str, Array], runner: OrtRunner, data: Data | None
) -> tuple[str, ...]:
    """Compare outputs, and say on what. Raises VerificationError where they differ, or say nothing."""
    for node in graph.every_node():
        if not node.domain and node.op in RANDOM:
            why = "it draws at random, so no two runs can be compared"
            raise UnsupportedOpError("this model cannot be checked", node_name=node.name, op_type=node.op, why=why)
    given = None if data is None else calibration(data, graph)
    graph.sizes = sized(graph, runner, None, given).sizes
    before, after = runner.session(original, exact=True), runner.session(graph, exact=True)
    samples = evaluation.from_data(graph, given, "samples") if given else evaluation.at_random(graph, after, 0)
    finite = False
    for batch in samples.batches():
        wanted, got = before.run({**batch, **held}), after.run(batch)
        for name, values in wanted.items():
            if values.shape != got[name].shape or not difference(values, got[name], _ATOL, _RTOL).within:
                raise VerificationError(f"output '{name}' is another one than with the inputs held outside")
            finite |= bool(np.isfinite(values).any())
    if not finite:
        raise VerificationError(f"all outputs are NaN or infinite on {samples.origin}", hint="give --data")
    return (f"outputs are the same on {samples.origin}", *notes(graph))
