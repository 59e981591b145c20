"""What a compressed model may cost: ``macs=0.5x``, ``params=60%``, ``bytes=4MB``, ``latency=0.6x``, ``latency=3ms``."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal, cast

from ....ir.cost import Cost
from ....ir.errors import UsageError
from ....ir.graph import Graph
from .meters import Counted

Kind = Literal["macs", "params", "bytes", "latency", "hls-latency", "hls-multipliers"]

_TEXT = re.compile(
    r"\s*(?P<kind>[\w-]+)\s*=\s*(?P<number>\d*\.?\d+(?:e[+-]?\d+)?)\s*(?P<unit>[a-z%]*)\s*", re.IGNORECASE
)
_COUNTS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_BYTES = {"": 1.0, "b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 2.0**10, "mib": 2.0**20, "gib": 2.0**30}
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
_SHARES = {"x": 1.0, "%": 0.01}
_UNITS: dict[str, dict[str, float]] = {
    "macs": _COUNTS,
    "params": _COUNTS,
    "bytes": _BYTES,
    "latency": _SECONDS,
    "hls-latency": _COUNTS,
    "hls-multipliers": _COUNTS,
}
_HINT = "write latency=0.6x, latency=3ms, macs=0.5x, params=60%, bytes=4MB, hls-latency=0.5x or hls-multipliers=0.5x"


@dataclass(frozen=True)
class Target:
    """An upper limit on one cost: ``amount`` of it (of latency, seconds; in hardware, cycles or multipliers), or
    ``amount`` times the original's when ``relative``.
    """

    kind: Kind
    amount: float
    relative: bool

    @staticmethod
    def parse(text: str) -> Target:
        """Read ``kind=amount``. Raises UsageError for an unknown kind or unit, nothing, or more than the original."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise UsageError(f"cannot read the target '{text}'", hint=_HINT)
        kind, number, unit = match["kind"].lower(), float(match["number"]), match["unit"].lower()
        if kind not in _UNITS:
            raise UsageError(f"the target '{text}' is of unknown kind '{kind}'", hint=_HINT)
        relative = unit in _SHARES
        if not relative and unit not in _UNITS[kind]:
            named = f"the unknown unit '{match['unit']}'" if unit else "no unit"
            raise UsageError(f"the target '{text}' has {named}", hint=_HINT)
        amount = number * (_SHARES[unit] if relative else _UNITS[kind][unit])
        if amount <= 0 or (relative and amount > 1):
            raise UsageError(
                f"the target '{text}' is out of range", hint="a share lies above 0 and up to 1x, an amount above 0"
            )
        return Target(cast(Kind, kind), amount, relative)

    @property
    def meter(self) -> Counted | None:
        """What counts this kind; None for what only a device tells."""
        if self.kind == "macs" or self.kind == "params" or self.kind == "bytes":
            return Counted(self.kind)
        return None

    def measure(self, cost: Cost) -> int:
        """Return what ``cost`` holds of this kind. Raises UsageError for latency, which it does not hold."""
        if self.meter is None:
            raise UsageError(f"{self} is not counted but measured")
        return self.meter.counted(cost)

    @property
    def measured(self) -> bool:
        """Whether only a device tells what a model costs."""
        return self.meter is None

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
        if self.kind == "latency" and not self.relative:
            return f"latency={self.amount * 1e3:.15g}ms"
        return f"{self.kind}={self.amount:.15g}{'x' if self.relative else ''}"
