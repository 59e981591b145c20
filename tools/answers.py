"""What the original gives on samples, kept: all models of a sweep, or of a search, are held against the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ..ir.graph import Array, Graph
from ..ir.runner import Runner, Session
from ..passes.hashing import digest

_MOST = 256 << 20  # bytes that are kept, of what is met first


@dataclass
class Answers:
    """Runs ``graph`` once on each batch, as far as what it gave can be kept."""

    graph: Graph
    runner: Runner
    _known: dict[tuple[str, ...], _Asked] = field(default_factory=dict)
    _room: int = _MOST

    def to(self, names: Sequence[str]) -> _Asked:
        """Return what runs the graph for these tensors."""
        return self._known.setdefault(tuple(names), _Asked(self, tuple(names)))

    def keep(self, given: Mapping[str, Array]) -> bool:
        """Whether there is room for arrays; from now on it is theirs."""
        size = sum(array.nbytes for array in given.values())
        if size > self._room:
            return False
        self._room -= size
        return True


@dataclass
class _Asked:
    answers: Answers
    names: tuple[str, ...]
    _given: dict[str, dict[str, Array]] = field(default_factory=dict)

    @cached_property
    def _session(self) -> Session:
        return self.answers.runner.session(self.answers.graph, outputs=self.names)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return the tensors by name, as :meth:`.runner.Session.run`."""
        names = sorted(feeds)
        key = digest(*names, *map(feeds.__getitem__, names))
        if key not in self._given:
            found = self._session.run(feeds)
            if not self.answers.keep(found):
                return found
            self._given[key] = found
        return {name: array.copy() for name, array in self._given[key].items()}  # metrics may write into theirs

    def try_out(self, feeds: Mapping[str, Array], seconds: float) -> None:
        """Run once, as :meth:`.runner.Session.try_out`."""
        self._session.try_out(feeds, seconds)
