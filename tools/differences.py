"""Two models held side by side: nodes, layers and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..backends.ort import OrtRunner
from ..ir.cost import Cost, cost, total
from ..ir.graph import Graph
from ..ir.quantity import scaled
from . import api
from .changes import Changes, changes
from .compression import baseline
from .layers import LayerLine, layer_lines
from .sizing import InputShapes, sized
from .table import share


@dataclass(frozen=True)
class Differences:
    """Of two models by their names: every node, every layer, and the whole costs."""

    names: tuple[str, str]
    changes: Changes
    layers: tuple[LayerLine, ...]
    whole: tuple[Cost, Cost]

    @cached_property
    def rows(self) -> list[list[str]]:
        """A row of text for every line of the difference."""
        from .pages.view import change_rows

        return [
            [row[cell] for cell in ("said", "name", "op", "output", "weights")] for row in change_rows(self.changes)
        ]

    @property
    def costs(self) -> str:
        """What both cost, in one line."""
        a, b = self.whole
        pairs = {"MACs": (a.macs, b.macs), "parameters": (a.parameters, b.parameters)}
        told = [
            f"{name} {scaled(was).strip()} → {scaled(now).strip()} ({share(now, was)})"
            for name, (was, now) in pairs.items()
            if was
        ]
        return ", ".join(told)

    def page(self) -> str:
        """Return all of it as one HTML file that loads nothing."""
        from .pages.difference_page import difference_page

        return difference_page(self)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON file."""
        return {"models": list(self.names), **self.changes.to_json(), "layers": [one.to_json() for one in self.layers]}


def differences(a: Path, b: Path, input_shapes: InputShapes | None = None) -> Differences:
    """Compare two models, both with their constants folded. Raises InvalidModelError, UsageError."""
    graphs = [_read(path, input_shapes) for path in (a, b)]
    whole = total(cost(graphs[0])), total(cost(graphs[1]))
    names = (a.name, b.name) if a.name != b.name else (str(a), str(b))
    return Differences(names, changes(*graphs), layer_lines(*graphs), whole)


def _read(path: Path, input_shapes: InputShapes | None) -> Graph:
    runner = OrtRunner()
    return baseline(sized(api.load(path, input_shapes=input_shapes), runner, input_shapes), runner)
