"""The table: seconds of units and corrections for whole networks, in one JSON file per machine and target."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from stat import S_ISREG
from typing import Any

from ...ir.cache_folder import default_folder, notice
from ...ir.writing import write_whole
from .execution import Execution, key
from .staircase import Widths, first_widths, surface
from .units import Unit, grains

_VERSION = "4"  # of what is measured and how
_DAMAGE = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


@dataclass
class Curve:
    """What was measured of one kind of unit: seconds by widths, and the largest widths that the grid covers."""

    high: Widths
    samples: dict[Widths, float] = field(default_factory=dict)

    def seconds(self, widths: Widths, grains: Widths) -> float:
        """Read the curve at any widths; above the grid time grows in proportion to each width."""
        inside = tuple(min(width, top) for width, top in zip(widths, self.high, strict=True))
        found = surface(self.samples, self.high, inside, grains)
        for width, top in zip(widths, self.high, strict=True):
            found *= max(width, top) / top
        return found


@dataclass
class Table:
    """``curves`` by kind; ``moved`` has seconds by elements for operators that only move them; ``corrections`` by
    network: factors by operator, and constants. Without a ``path`` it is kept for one run.
    """

    path: Path | None
    identity: dict[str, str]
    block: int
    curves: dict[str, Curve] = field(default_factory=dict)
    moved: dict[str, dict[int, float]] = field(default_factory=dict)
    corrections: dict[str, dict[str, float]] = field(default_factory=dict)

    @staticmethod
    def open(target: Execution, footprint: int, block: int, folder: Path | None = None) -> "Table":
        """Read the table of a target from the cache folder, an empty one where there is none or none that is read.

        ``footprint`` is bytes of weights a run reads, a power of two.
        """
        identity = target.identity() | {"footprint": str(footprint), "version": _VERSION}
        place = folder or default_folder()
        table = Table(place and place / "latency" / f"{key(identity)}.json", identity, block)
        table._merge()
        return table

    def seconds(self, unit: Unit) -> float | None:
        """Return a unit's time, None for a kind that was not measured."""
        if unit.kind in self.curves:
            return self.curves[unit.kind].seconds(unit.widths, grains(unit.kind, self.block))
        line = self.moved.get(unit.kind)
        return _nearest(line, unit.widths[0]) if line else None

    def covers(self, unit: Unit) -> bool:
        """Whether the unit's kind was measured."""
        return unit.kind in self.curves or unit.kind in self.moved

    def save(self) -> None:
        """Write the table, whole or not at all; what other processes wrote meanwhile is kept. It never fails a run."""
        self._merge()
        content = {
            "identity": self.identity,
            "corrections": self.corrections,
            "moved": {kind: _named(((n,), t) for n, t in line.items()) for kind, line in self.moved.items()},
            "curves": {
                kind: {"high": curve.high, "seconds": _named(curve.samples.items())}
                for kind, curve in self.curves.items()
            },
        }
        if self.path is None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, json.dumps(content, indent=1).encode())
        except OSError as error:
            notice(f"the table of latencies {self.path} cannot be written: {error}")

    def _merge(self) -> None:
        """Take over from the file what is not known here."""
        if self.path is None:
            return
        try:
            text = self.path.read_text() if S_ISREG(self.path.stat().st_mode) else ""
            curves, moved, corrections = _parsed(text, self.block)
        except FileNotFoundError:
            return
        except _DAMAGE as error:
            notice(f"the table of latencies {self.path} cannot be read and is measured anew: {type(error).__name__}")
            return
        self.curves = curves | self.curves
        self.moved = moved | self.moved
        self.corrections = corrections | self.corrections


def _nearest(line: dict[int, float], elements: int) -> float:
    """Scale the sample nearest in size, down to a half: below, starting the kernel is most of it."""
    nearest = min(line, key=lambda known: abs(known - elements))
    return line[nearest] * max(elements / nearest, 0.5)


def _named(rows: Iterable[tuple[Widths, float]]) -> dict[str, float]:
    return {"x".join(map(str, widths)): float(f"{time:.4g}") for widths, time in sorted(rows)}


def _parsed(text: str, block: int) -> tuple[dict[str, Curve], dict[str, dict[int, float]], dict[str, dict[str, float]]]:
    """Read curves, moved and corrections of a file. Raises what ``_DAMAGE`` lists for one that is no table."""
    content = json.loads(text)
    curves = {kind: _curve(kind, curve, block) for kind, curve in content["curves"].items()}
    moved = {kind: {width: t for (width,), t in _read(line).items()} for kind, line in content["moved"].items()}
    corrections = {network: _numbers(factors) for network, factors in content["corrections"].items()}
    if not all(moved.values()):
        raise ValueError("a kind without samples")
    return curves, moved, corrections


def _curve(kind: str, written: dict[str, Any], block: int) -> Curve:
    curve = Curve(tuple(map(int, written["high"])), _read(written["seconds"]))
    if not first_widths(curve.high, grains(kind, block)) <= curve.samples.keys():
        raise ValueError("a curve without its ends")
    return curve


def _read(rows: dict[str, Any]) -> dict[Widths, float]:
    found = {tuple(int(part) for part in name.split("x") if part): time for name, time in _numbers(rows).items()}
    if any(time <= 0 for time in found.values()):
        raise ValueError("a time that is none")
    return found


def _numbers(rows: dict[str, Any]) -> dict[str, float]:
    found = {name: float(value) for name, value in rows.items()}
    if not all(map(isfinite, found.values())):
        raise ValueError("a number that is none")
    return found
