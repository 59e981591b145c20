"""What devices answered during a compression, kept in order, so that a replay hears the same without measuring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..ir.errors import VerificationError
from ..ir.graph import Graph
from ..ir.timing import Comparison, Device, Interval, Timer

Answer = tuple[str, Any]


@dataclass
class Tape:
    """Answers as plain values, each behind what was asked. ``told``: they are played, and no device is asked."""

    answers: list[Answer] = field(default_factory=list)
    told: bool = False
    _next: int = 0

    def heard(self, question: str, answer: Any) -> Any:
        """Keep an answer, and return it."""
        self.answers.append((question, answer))
        return answer

    def again(self, question: str) -> Any:
        """Return the next answer. Raises VerificationError where another question was asked at this point."""
        asked, answer = self.answers[self._next] if self._next < len(self.answers) else ("nothing", None)
        self._next += 1
        if asked != question:
            why = f"it asks a device for {question}, where {asked} was asked for"
            raise VerificationError("the replay goes another way than the report", why=why)
        return answer

    def on(self, device: Device) -> Device:
        """Return a device that is listened to, or that says what was heard."""
        return _Played(self) if self.told else _Recorded(device, self)


@dataclass(frozen=True)
class _RecordedTimer:
    source: Timer
    tape: Tape

    def times(self, graphs: Sequence[Graph]) -> list[float]:
        found: list[float] = self.tape.heard("times", list(map(float, self.source.times(graphs))))
        return found


@dataclass(frozen=True)
class _Recorded:
    source: Device
    tape: Tape

    def times(self, graphs: Sequence[Graph]) -> list[float]:
        return _RecordedTimer(self.source, self.tape).times(graphs)

    def multiple(self) -> int:
        return int(self.tape.heard("multiple", int(self.source.multiple())))

    @property
    def separable(self) -> bool:
        return bool(self.tape.heard("separable", self.source.separable))

    def layers(self, graph: Graph) -> Mapping[str, float]:
        found: Mapping[str, float] = self.tape.heard("layers", dict(self.source.layers(graph)))
        return found

    def compare(self, before: Graph, after: Graph) -> Comparison:
        found = self.source.compare(before, after)
        rounds = None if found.rounds is None else found.rounds.tolist()
        self.tape.heard("compare", {"before": found.before, "ratio": list(found.ratio), "rounds": rounds})
        return found

    def forecast(self, graph: Graph, others: Sequence[Graph]) -> Timer:
        return _RecordedTimer(self.source.forecast(graph, others), self.tape)


@dataclass(frozen=True)
class _Played:
    tape: Tape

    def times(self, graphs: Sequence[Graph]) -> list[float]:
        found: list[float] = self.tape.again("times")
        return found

    def multiple(self) -> int:
        return int(self.tape.again("multiple"))

    @property
    def separable(self) -> bool:
        return bool(self.tape.again("separable"))

    def layers(self, graph: Graph) -> Mapping[str, float]:
        found: Mapping[str, float] = self.tape.again("layers")
        return found

    def compare(self, before: Graph, after: Graph) -> Comparison:
        found = self.tape.again("compare")
        rounds = None if found["rounds"] is None else np.array(found["rounds"])
        return Comparison(found["before"], Interval(*found["ratio"]), rounds)

    def forecast(self, graph: Graph, others: Sequence[Graph]) -> Timer:
        return self
