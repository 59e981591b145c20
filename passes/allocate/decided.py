"""What an allocation has decided, before passes carry it out."""

from dataclasses import dataclass, field
from functools import cached_property

from ...ir.graph import Array
from ..plan import Decision
from .cost_model import Floats
from .latency_limit import Limit
from .measured_search import Candidate
from .problem import Ints, Problem


@dataclass(frozen=True)
class Decided:
    """A choice, the task whose groups and menus it is from, figures for the report, and the error curves it is from.

    ``note`` says why widths keep the multiple that they do, where that was in question.
    """

    task: Problem
    choice: Ints | Floats
    figures: dict[str, float]
    curves: list[Array] = field(default_factory=list)
    note: str = ""

    @staticmethod
    def of(task: Problem, found: Candidate[Floats], limit: Limit, curves: list[Array]) -> "Decided":
        """Take over what was measured."""
        return Decided(task, found.choice, {"error_predicted": found.error} | limit.figures(found), curves)

    @property
    def sensitivities(self) -> dict[str, Array]:
        """The error curve of every group, by its name; of a method that measures none, nothing."""
        return {group.name: curve for group, curve in zip(self.task.groups, self.curves, strict=False)}

    @cached_property
    def decision(self) -> Decision:
        """What the passes that carry it out read."""
        return Decision(self.task.lost(self.choice), self.task.forms(self.choice), self.figures)
