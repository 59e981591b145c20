"""What a compressed model may cost: ``macs=0.5x``, ``params=60%``, ``macs=120M``, ``bytes=4MB``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from ...ir.cost import Cost
from ...ir.errors import UsageError

Kind = Literal["macs", "params", "bytes"]

_TEXT = re.compile(r"\s*(?P<kind>\w+)\s*=\s*(?P<number>\d*\.?\d+(?:e[+-]?\d+)?)\s*(?P<unit>[a-z%]*)\s*", re.IGNORECASE)
_COUNTS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_BYTES = {"": 1.0, "b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 2.0**10, "mib": 2.0**20, "gib": 2.0**30}
_SHARES = {"x": 1.0, "%": 0.01}
_UNITS: dict[str, dict[str, float]] = {"macs": _COUNTS, "params": _COUNTS, "bytes": _BYTES}
_HINT = "write macs=0.5x, params=60%, macs=120M or bytes=4MB"


@dataclass(frozen=True)
class Target:
    """An upper limit on one cost: ``amount`` of it, or ``amount`` times the original's when ``relative``."""

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
            raise UsageError(f"the target '{text}' has the unknown unit '{match['unit']}'", hint=_HINT)
        amount = number * (_SHARES[unit] if relative else _UNITS[kind][unit])
        if amount <= 0 or (relative and amount > 1):
            raise UsageError(
                f"the target '{text}' is out of range", hint="a share lies above 0 and up to 1x, an amount above 0"
            )
        return Target(cast(Kind, kind), amount, relative)

    def budget(self, cost: Cost) -> float:
        """Return the limit for a model whose cost was ``cost`` to begin with."""
        return self.amount * self.measure(cost) if self.relative else self.amount

    def measure(self, cost: Cost) -> int:
        """Return what ``cost`` holds of this kind."""
        return {"macs": cost.macs, "params": cost.parameters, "bytes": cost.bytes}[self.kind]

    def __str__(self) -> str:
        return f"{self.kind}={self.amount:.15g}{'x' if self.relative else ''}"
