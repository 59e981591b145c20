"""The table: seconds of units and corrections for whole networks, in one JSON file per machine and target."""

import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ...ir.cache_folder import default_folder
from .execution import Execution, key
from .staircase import Widths, surface
from .units import Unit, grains

_VERSION = "3"  # of what is measured and how


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
    network: factors by operator, and constants.
    """

    path: Path
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
        path = (folder or default_folder()) / "latency" / f"{key(identity)}.json"
        table = Table(path, identity, block)
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
        """Write the table under a temporary name and rename it; what other processes wrote meanwhile is kept."""
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
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self.path.parent, suffix=".tmp")
        with os.fdopen(handle, "w") as file:
            json.dump(content, file, indent=1)
        Path(temporary).replace(self.path)

    def _merge(self) -> None:
        """Take over from the file what is not known here."""
        try:
            content = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return
        for kind, curve in content["curves"].items():
            self.curves.setdefault(kind, Curve(tuple(curve["high"]), _read(curve["seconds"])))
        for kind, line in content["moved"].items():
            self.moved.setdefault(kind, {widths[0]: time for widths, time in _read(line).items()})
        self.corrections = content["corrections"] | self.corrections


def _nearest(line: dict[int, float], elements: int) -> float:
    """Scale the sample nearest in size, down to a half: below, starting the kernel is most of it."""
    nearest = min(line, key=lambda known: abs(known - elements))
    return line[nearest] * max(elements / nearest, 0.5)


def _named(rows: Iterable[tuple[Widths, float]]) -> dict[str, float]:
    return {"x".join(map(str, widths)): float(f"{time:.4g}") for widths, time in sorted(rows)}


def _read(rows: dict[str, float]) -> dict[Widths, float]:
    return {tuple(int(width) for width in name.split("x") if width): time for name, time in rows.items()}
