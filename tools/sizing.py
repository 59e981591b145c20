"""Choose the sizes of a model's inputs: as the user says, else as the samples have them, else by trial."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..ir.attributes import LOOPS
from ..ir.budget import check_budget
from ..ir.cost import unknown_layers
from ..ir.errors import CalibrationError, InvalidModelError, UsageError
from ..ir.feeds import Calibration, batch_size, length, random_feeds, repeated, suited
from ..ir.graph import Array, Graph
from ..ir.runner import Runner, Session
from ..ir.shapes import concrete, declared, input_sizes, tried
from ..ir.sizes import SIDES, Seen, Sizes, Statement, agreed, check, named, open_dims

InputShapes = Mapping[str, Sequence[int]] | Sequence[str]
"""Whole shapes by input name, or texts like ``x:1,3,224,224``; 1 for the batch where the model leaves it open."""

_TEXT = re.compile(r"(?P<name>.+):(?P<dims>-?\d+(?:,-?\d+)*)")
_EXAMPLE = 224
_BATCH = 16  # samples a run takes at most times, where the model leaves that open
_SECONDS = 10.0  # that one sample may take
_FEW = 3
_NAMED = 4

ALONE = "the model runs on one sample at a time, though it leaves the batch open"


def sized(graph: Graph, runner: Runner, given: InputShapes | None = None, samples: Calibration | None = None) -> Graph:
    """Return a copy that carries the size of every open dimension: the one given, that of the samples, the one that
    the graph carries unless it was tried, or the first of a few at which the model runs.

    Raises UsageError for a given shape that contradicts the model, the samples or another one, CalibrationError for
    samples in which one symbol has two sizes, BudgetError for a model that takes too much memory or time to run.
    """
    copy = suited(graph.copy(), samples)
    dims = declared(copy)
    said = _statements(given or ())
    for statement in said:
        check(dims, statement)
    seen = [] if samples is None else _seen(copy, samples)
    agreed(named(dims), seen, CalibrationError)
    known = {**(graph.sizes or Sizes()).said, **agreed(named(dims), [*said, *seen], UsageError)}
    copy.sizes = _tried(copy, runner, known)
    check_budget(copy, _BATCH)
    _check_loops(copy, runner)
    copy.sizes = _told_alone(copy, runner, samples)
    copy.sizes = replace(copy.sizes, seen=_shown(copy, runner, samples))
    return copy


def _told_alone(graph: Graph, runner: Runner, samples: Calibration | None) -> Sizes:
    """Say of a model that leaves the batch open and runs on one sample, but not on two, as with states of fixed shape,
    that it takes one at a time.
    """
    names = [tensor.name for tensor in graph.outputs]
    several, single = (replace(graph.sizes or Sizes(), alone=alone) for alone in (False, True))
    for graph.sizes, count in ((several, 2), (single, 1)):
        if _run(graph, runner, names, samples, count):
            return graph.sizes
    return several


def _shown(graph: Graph, runner: Runner, samples: Calibration | None) -> dict[str, Seen]:
    """Run the model for the shapes that inference does not tell, on one sample and on a few; none where it does not."""
    few, one = (input_sizes(graph, count) for count in (_FEW, 1))
    try:
        found = concrete(graph, few)
    except InvalidModelError:
        found = {}
    names = [t.name for node in graph.nodes for t in node.outputs if t.name and t.name not in found]
    if not names:
        return {}
    single = _run(graph, runner, names, samples, 1)
    several = single if few == one else _run(graph, runner, names, samples, _FEW)
    return {name: _between(array, several.get(name, array), _FEW) for name, array in single.items()}


def _run(
    graph: Graph, runner: Runner, names: Sequence[str], samples: Calibration | None, count: int
) -> dict[str, Array]:
    """Return inner tensors of a run; fewer where it does not show them."""
    try:
        if samples is None:
            feeds = random_feeds(graph, np.random.default_rng(0), count)
        else:
            count = batch_size(graph, count)
            feeds = next(iter(samples.batches(count)))
            feeds = feeds if length(feeds, samples.lie) >= count else repeated(feeds, count, samples.lie)
        found = runner.session(graph, outputs=list(names), exact=True).run(feeds)
    except (InvalidModelError, StopIteration):
        return {}
    return {name: value for name, value in found.items() if isinstance(value, np.ndarray)}


def _between(one: Array, few: Array, count: int) -> Seen:
    """Take every dimension to grow evenly with the samples."""
    if one.ndim != few.ndim:
        few = one
    pairs = zip(one.shape, few.shape, strict=True)
    more = [(many - single) // (count - 1) for single, many in pairs]
    return Seen(one.dtype.str, tuple((single - step, step) for single, step in zip(one.shape, more, strict=True)))


def notes(graph: Graph) -> tuple[str, ...]:
    """Say of every input whose sizes were tried what they are, and how to give others; and where batches are of one."""
    dims, sizes = declared(graph), graph.sizes or Sizes()
    found = [ALONE] if sizes.alone else []
    for name, own in named(dims).items():
        names = [dim for dim in own if isinstance(dim, str) and dim in sizes.tried]
        if not names:
            continue
        shape = input_sizes(graph, 1)[name]
        other = [max(_EXAMPLE, 2 * size) if dim in names else size for dim, size in zip(own, shape, strict=True)]
        found.append(
            f"input '{name}' fixes no size of {' and '.join(dict.fromkeys(names))} and there are no samples: "
            f"taken as {'x'.join(map(str, shape))}; give --input-shape {_text(name, other)} to take another"
        )
    return tuple(found)


def uncounted(graph: Graph) -> tuple[str, ...]:
    """Say which layers' MACs are not known, and so not counted."""
    names = unknown_layers(graph)
    listed = ", ".join(f"'{name}'" for name in names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return (f"not counted, for no one can tell their MACs: {listed}{more}",) if names else ()


def shapes(given: InputShapes | None) -> dict[str, Sequence[int]]:
    """Return shapes by input name. Raises UsageError for a text that is none."""
    return dict(given if isinstance(given, Mapping) else map(_parsed, given or ()))


def _statements(given: InputShapes) -> list[Statement]:
    pairs = given.items() if isinstance(given, Mapping) else map(_parsed, given)
    return [Statement(f"input shape {_text(name, shape)}", name, tuple(shape)) for name, shape in pairs]


def _parsed(text: str) -> tuple[str, Sequence[int]]:
    match = _TEXT.fullmatch(text)
    if match is None:
        raise UsageError(f"'{text}' is no input shape", hint="write the input's name and all numbers: x:1,3,224,224")
    return match["name"], [int(size) for size in match["dims"].split(",")]


def _text(name: str, shape: Sequence[int]) -> str:
    return f"{name}:{','.join(map(str, shape))}"


def _seen(graph: Graph, samples: Calibration) -> list[Statement]:
    feeds = next(samples.batches(batch_size(graph, 1)), {})
    shapes = {name: feeds[name].shape for name in declared(graph) if name in feeds}
    return [Statement(f"the sample of '{n}' {list(shape[1:])}", n, shape) for n, shape in shapes.items()]


def _tried(graph: Graph, runner: Runner, known: Mapping[str, int]) -> Sizes:
    """Add one size for all dimensions that are not known: the first at which the model runs, else by inference."""
    base = graph.sizes or Sizes()
    missing = [dim for dim in open_dims(declared(graph)) if dim not in known]
    if not missing:
        return replace(base, of=known, tried=frozenset(), seen={})
    session = runner.session(graph)
    for side in SIDES:
        graph.sizes = replace(base, of={**known, **dict.fromkeys(missing, side)}, tried=frozenset(missing), seen={})
        if _runs(graph, session):
            return graph.sizes
    return tried(graph, known)


def _runs(graph: Graph, session: Session) -> bool:
    """Whether one random sample runs, for which memory and time are there."""
    try:
        check_budget(graph)
        session.try_out(random_feeds(graph, np.random.default_rng(0), 1), _SECONDS)
    except InvalidModelError:
        return False
    return True


def _check_loops(graph: Graph, runner: Runner) -> None:
    """Raise BudgetError where a model with loops, whose time no shape tells, does not end in time."""
    if any(node.op in LOOPS for node in graph.every_node()):
        _runs(graph, runner.session(graph))
