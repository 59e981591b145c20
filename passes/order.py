"""Whether passes can follow each other: what each needs, provides, carries out and preserves, checked before any runs.

Facts: ``ranking`` of the channels of the graph as it is, ``offers`` of forms for its layers; ``widths`` and ``forms``
that are decided and not carried out; ``reference``, the graph before the first lossy change. A pass that rewrites the
graph keeps of these what it says it preserves. What is decided is never dropped: the pipeline is refused instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..ir.errors import UsageError

FACTS: Mapping[str, str] = {
    "ranking": "a ranking of the channels",
    "offers": "offers of forms",
    "widths": "widths that are decided",
    "forms": "forms that are decided",
    "reference": "a graph from before a removal or another form, to repair towards",
}
Read = Callable[[str], Sequence[Any]]
ALL = frozenset(FACTS)
VALUES = "values"
EXACT = frozenset({"reference", VALUES})
"""What a pass preserves that changes no value of a tensor which keeps its name, but for channels it says it removes."""

PENDING = ("widths", "forms")
_DONE_BY = {"widths": "remove-channels", "forms": "decompose"}
_MADE_BY = {
    "ranking": "select-channels",
    "offers": "offer-forms",
    "widths": "select-channels{keep=…} or allocate",
    "forms": "offer-forms and allocate",
    "reference": "remove-channels or decompose",
}


def declared(step: Any, name: str) -> frozenset[str]:
    """Return the facts that a pass declares as ``needs``, ``provides``, ``carries_out`` or ``preserves``."""
    return frozenset(getattr(step, name, ()))


def check(steps: Sequence[Any], given: Iterable[str] = (), read: Read | None = None) -> frozenset[str]:
    """Follow the facts through a pipeline that starts with ``given`` ones; return what holds at its end.

    ``read`` parses the pipelines that passes run themselves, as their ``nested``; these are checked too.

    Raises UsageError for a pass that lacks what it needs, or that would drop what another has decided: names both, and
    says how to order them.
    """
    return frozenset(_followed(steps, dict.fromkeys(given, ""), read))


def check_carried_out(steps: Sequence[Any], given: Iterable[str] = (), read: Read | None = None) -> None:
    """Do what :func:`check` does, and raise UsageError also where something decided is not carried out at the end."""
    _check_end(_followed(steps, dict.fromkeys(given, ""), read))


def _followed(steps: Sequence[Any], given: Mapping[str, str], read: Read | None) -> dict[str, str]:
    """Return the facts that hold at the end, with the passes that they come from; empty for what was ``given`` so."""
    by = dict(given)
    lost: dict[str, tuple[str, str]] = {}
    for step in steps:
        inner = getattr(step, "nested", None)
        if read is not None and inner is not None:
            _check_end(_followed(read(inner), by, read))
        _check_needs(step, by, lost)
        _check_pending(step, by)
        turned = {"forms"} if "offers" in by and "widths" in declared(step, "provides") else set()
        stays = declared(step, "preserves")
        done = declared(step, "carries_out")
        for fact in [fact for fact in by if fact not in stays or fact in done]:
            lost[fact] = by.pop(fact), step.name
        by |= dict.fromkeys(declared(step, "provides") | turned, step.name)
    return by


def _check_end(by: Mapping[str, str]) -> None:
    for fact in PENDING:
        if fact in by:
            who = by[fact] or "an earlier run"
            raise UsageError(f"{who} decides {fact} that no pass carries out", hint=f"put {_DONE_BY[fact]} after it")


def _check_needs(step: Any, by: Mapping[str, str], lost: Mapping[str, tuple[str, str]]) -> None:
    for fact in sorted(declared(step, "needs") - by.keys()):
        maker, breaker = lost.get(fact, ("", ""))
        if maker and maker != step.name and breaker != step.name:
            raise UsageError(
                f"{step.name} needs {FACTS[fact]}, and {breaker} rewrites the graph that {maker} has made it for",
                hint=f"put {breaker} before {maker}, or {maker} again after {breaker}",
            )
        raise UsageError(f"{step.name} needs {FACTS[fact]}", hint=f"put {_MADE_BY[fact]} before it")


def _check_pending(step: Any, by: Mapping[str, str]) -> None:
    for fact in PENDING:
        if fact not in by or fact in declared(step, "carries_out"):
            continue
        who, again = by[fact] or "an earlier run", fact in declared(step, "provides")
        if again or fact not in declared(step, "preserves"):
            does = f"decides {fact} again" if again else "rewrites the graph"
            way = "the two" if who == step.name else f"{who} and {step.name}, or {step.name} before {who}"
            raise UsageError(
                f"{step.name} {does} before the {fact} that {who} has decided are carried out",
                hint=f"put {_DONE_BY[fact]} between {way}",
            )
