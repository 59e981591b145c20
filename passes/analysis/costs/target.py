"""What a compressed model may cost: ``macs=0.5x``, ``params=60%``, ``bytes=4MB``, ``latency=0.6x``, ``latency=3ms``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches

from ....ir.errors import UsageError
from ....ir.graph import Graph
from ....ir.quantity import LATENCY, Quantity
from .meters import Counted
from .quantities import quantities
from .sums import BYTES, PARAMS

_TEXT = re.compile(r"\s*(?P<name>[\w-]+)\s*=\s*(?P<number>\d*\.?\d+(?:e[+-]?\d+)?)\s*(?P<suffix>%|[^\W\d_]*)\s*", re.I)
_WORDS = {
    "flops": "macs",
    "flop": "macs",
    "ops": "macs",
    "multiplications": "macs",
    "size": "bytes",
    "filesize": "bytes",
    "weights": "params",
    "time": "latency",
    "speed": "latency",
    "memory": "peak-memory",
    "ram": "peak-memory",
}
_SHARES = {"x": 1.0, "%": 0.01}


@dataclass(frozen=True)
class Target:
    """An upper limit on one quantity: ``amount`` of it, in its unit, or ``amount`` times the original's when
    ``relative``.
    """

    quantity: Quantity
    amount: float
    relative: bool

    @staticmethod
    def parse(text: str) -> Target:
        """Read ``quantity=amount``. Raises UsageError for an unknown one or suffix, nothing, more than the original."""
        match, known = _TEXT.fullmatch(text), quantities()
        if match is None:
            raise UsageError(f"cannot read the target '{text}'", hint=f"write {spelled(known.values())}")
        name, number, suffix = match["name"].lower(), float(match["number"]), match["suffix"]
        if name not in known:
            meant = _meant(name, known)
            hint = f"did you mean {meant}={number:g}{suffix}?" if meant else f"write {spelled(known.values())}"
            raise UsageError(f"the target '{text}' is of unknown kind '{name}'", hint=hint)
        quantity = known[name]
        relative = suffix.lower() in _SHARES
        factor = _SHARES[suffix.lower()] if relative else quantity.factor(suffix)
        if not suffix and 0 < number <= 1:
            hint = f"did you mean {name}={number:g}x?"
            raise UsageError(f"the target '{text}' has no unit", hint=hint)
        if factor is None:
            named = f"the unknown unit '{suffix}'" if suffix else "no unit"
            units = ", ".join([*_SHARES, *filter(None, quantity.suffixes)])
            hint = f"write {spelled([quantity])}; units are {units}"
            raise UsageError(f"the target '{text}' has {named}", hint=hint)
        amount = number * factor
        if amount <= 0 or (relative and amount > 1):
            raise UsageError(
                f"the target '{text}' is out of range", hint="a share lies above 0 and up to 1x, an amount above 0"
            )
        return Target(quantity, amount, relative)

    @property
    def meter(self) -> Counted | None:
        """The quantity, where it is counted; None for what only a device tells."""
        return self.quantity if isinstance(self.quantity, Counted) else None

    @property
    def measured(self) -> bool:
        """Whether only a device tells what a model costs."""
        return self.meter is None

    def whole(self, given: Graph | None, folded: Graph) -> Graph:
        """Return the graph that shares are of: as it was given, where they are of what its file holds or of the time
        that it takes, else folded.
        """
        return given if given is not None and self.quantity in (BYTES, PARAMS, LATENCY) else folded

    def met(self, original: Graph, graph: Graph) -> bool:
        """Whether a target that is counted is met already; one that is measured is left to those who measure."""
        return self.meter is not None and self.meter.of(graph) <= self.budget(self.meter.of(original))

    def tightened(self, excess: float) -> Target:
        """Ask for as much less as a model came out above the limit, ``excess`` times."""
        return replace(self, amount=self.amount / max(excess, 1.0))

    def budget(self, before: float) -> float:
        """Return the limit for a model that cost ``before`` to begin with."""
        return self.amount * before if self.relative else self.amount

    def __str__(self) -> str:
        amount = f"{self.amount:.15g}x" if self.relative else self.quantity.written(self.amount)
        return f"{self.quantity.name}={amount}"


def _meant(name: str, known: Iterable[str]) -> str:
    """Return the quantity that another word may mean; empty where none is near."""
    if name in _WORDS:
        return _WORDS[name]
    return next(iter(get_close_matches(name, list(known), 1)), "")


def spelled(known: Iterable[Quantity]) -> str:
    """List examples of targets: ``macs=0.5x, params=60% or bytes=4MB``."""
    found = [f"{quantity.name}={example}" for quantity in known for example in quantity.examples]
    return " or ".join(filter(None, (", ".join(found[:-1]), found[-1])))
