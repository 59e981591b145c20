"""What watches a pipeline run: timing, dumps and printouts. Observers only look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..ir.errors import UsageError
from ..ir.graph import Graph
from ..ir.printer import text as graph_text
from ..ir.writing import write_whole


@dataclass(frozen=True)
class Record:
    """What one pass did: its name, its text, whether the graph changed, how long it took, what it says."""

    name: str
    text: str
    changed: bool
    seconds: float
    notes: tuple[str, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)


class Observer:
    """Hears of every pass that ended well; ``place`` counts from 1."""

    def after(self, place: int, record: Record, graph: Graph) -> None:
        """Look at the graph as the pass left it."""


@dataclass
class Timing(Observer):
    """Adds up seconds by pass name, in order of first run."""

    seconds: dict[str, float] = field(default_factory=dict)

    def after(self, place: int, record: Record, graph: Graph) -> None:
        """Add this run's seconds."""
        self.seconds[record.name] = self.seconds.get(record.name, 0.0) + record.seconds


@dataclass(frozen=True)
class DumpAfter(Observer):
    """Writes ``NN-name.onnx`` into ``folder`` after every pass."""

    folder: Path

    def after(self, place: int, record: Record, graph: Graph) -> None:
        """Write the graph. Raises UsageError when the folder cannot be written to."""
        data = graph.to_model().SerializeToString(deterministic=True)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self.folder / f"{place:02d}-{record.name}.onnx", data)
        except OSError as error:
            raise UsageError(f"cannot write into '{self.folder}'", why=error.strerror or str(error)) from error


@dataclass(frozen=True)
class PrintAfter(Observer):
    """Hands the graph's text to ``write`` after every pass that changed it."""

    write: Callable[[str], None]

    def after(self, place: int, record: Record, graph: Graph) -> None:
        """Print the graph."""
        if record.changed:
            self.write(f"# after pass {place}: {record.text}\n{graph_text(graph)}")
