"""An explanation of coupled channels in words, a few lines even for a long residual stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .labels import Pin
    from .why import Layer, Part, Step, Why

_PARTS = 3
_MAKERS = 5
_READERS = 3
_STOPS = 3
_STEPS = 4
_WIDTH = 60


def sentences(why: Why) -> Iterator[str]:
    """Say what a tensor is; of its channels what goes with them, or why they stay; and what the nodes on the way do."""
    if not why.parts:
        yield f"'{why.tensor}' {why.origin}; no removal can take channels of it"
        yield from (line for pin in why.behind[:_STOPS] for line in _stop(pin, ()))
        return
    yield f"'{why.tensor}' {why.origin}"
    for part in why.parts[:_PARTS]:
        yield from _kept(part) if part.group is None else _free(part)
    if len(why.parts) > _PARTS:
        yield f"and {len(why.parts) - _PARTS} more parts, each with couplings of its own (--json lists them)"
    yield from _legend(why.parts[:_PARTS])


def _free(part: Part) -> Iterator[str]:
    if len(part.makers) == 1 and part.cells == 1:
        yield f"{_channels(part)}: free, nothing couples them: any can go on its own (group '{part.group}')"
    else:
        layers = f"{len(part.makers)} layers make" if len(part.makers) > 1 else "one layer makes"
        yield f"{_channels(part)}: coupled, in the group '{part.group}' of {part.units} units, which {layers}"
    if part.cells > 1:
        needed = f", which {_called(part.balancers[0])} needs" if part.balancers else ""
        yield f"  a unit is one channel out of each of {part.cells} cells, so that equally many stay in all{needed}"
    yield from _layers(part.makers)
    yield _readers(part.readers)


def _layers(makers: Sequence[Layer]) -> Iterator[str]:
    width = min(max((len(_called(layer)) for layer in makers[:_MAKERS]), default=0), _WIDTH)
    for layer in makers[:_MAKERS]:
        yield f"  made by {_called(layer):{width}}  {_way(layer.way)}".rstrip()
    if len(makers) > _MAKERS:
        yield f"  and by {len(makers) - _MAKERS} more layers, further away"


def _readers(readers: Sequence[Layer]) -> str:
    if not readers:
        return "  no layer sums over them"
    more = f" and {len(readers) - _READERS} more" if len(readers) > _READERS else ""
    return f"  read by {', '.join(map(_called, readers[:_READERS]))}{more}"


def _kept(part: Part) -> Iterator[str]:
    yield f"{_channels(part)}: pinned, they have to stay"
    for stop in part.stops[:_STOPS]:
        yield from _stop(stop.pin, stop.way)
    if len(part.stops) > _STOPS:
        yield f"  and {len(part.stops) - _STOPS} more pins"


def _stop(pin: Pin, way: Sequence[Step]) -> Iterator[str]:
    yield f"  {pin.op} '{pin.node}': {pin.why}"
    if pin.hint:
        yield f"    what would help: {pin.hint}"
    if way:
        yield f"    tied to it {_way(way)}"


def _channels(part: Part) -> str:
    count, first, last = len(part.indices), part.indices[0], part.indices[-1]
    one = f"channel {first}"
    run = f"channels {first} to {last}" if last - first + 1 == count else f"{count} channels between {first} and {last}"
    return f"axis {part.axis}, {one if count == 1 else run}"


def _called(layer: Layer | Step) -> str:
    return f"{layer.op} '{layer.node}'"


def _way(steps: Sequence[Step]) -> str:
    if not steps:
        return ""
    names = [_called(step) + f" with '{step.tensor}'" * step.stored for step in steps]
    if len(names) > _STEPS + 1:
        names[_STEPS - 1 : -1] = [f"{len(names) - _STEPS} more"]
    return f"through {', '.join(names)}"


def _legend(parts: Sequence[Part]) -> Iterator[str]:
    """Say what the operators on the ways that were shown do to channels."""
    shown = [end for part in parts for end in (part.stops[:_STOPS] if part.group is None else part.makers[:_MAKERS])]
    found: dict[str, list[str]] = {}
    for step in (step for end in shown for step in (*end.way[: _STEPS - 1], *end.way[-1:])):
        operators = found.setdefault(step.why, [])
        operators.extend([step.op] * (step.op not in operators))
    yield from (f"{', '.join(operators)}: {why}" for why, operators in found.items())
