"""Widths and forms together, and which families of forms to choose from.

Errors of many small changes add up where they are independent, and far worse where every layer drops the same
directions of a stream. So what a choice does is measured with all its changes made at once, channels and forms apart,
in the original network; families that make it worse are left out, one after another.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

import numpy as np

from ...ir.graph import Array
from ..analysis.forms import FormMenu
from ..analysis.outputs import Judge
from .cost_model import Floats
from .cumulative import CumulativeProbe
from .offered import Sensitivity, Substitutes
from .overall import by_error
from .task import Task


@dataclass(frozen=True)
class Chosen:
    """A choice from the menus of a task, and the divergence measured for it."""

    task: Task
    choice: Floats
    divergence: float


@dataclass(frozen=True)
class Search:
    """``curves`` of groups and ``layers``' sensitivities are measured one at a time; ``judge`` measures all at once."""

    task: Task
    curves: Sequence[Array]
    layers: Sequence[Sensitivity]
    substitutes: Substitutes
    judge: Judge
    probe: CumulativeProbe

    def best(self) -> Chosen | None:
        """Return the best choice found; None where the budget is out of reach."""
        names = {family.name for offer in self.task.offers for family in offer.families}
        found = self._with(names)
        while names and found is not None:
            tried = {name: self._with(names - {name}) for name in sorted(names)}
            name, better = min(tried.items(), key=lambda item: item[1].divergence if item[1] else np.inf)
            if better is None or better.divergence >= found.divergence:
                break
            names, found = names - {name}, better
        return found

    def _with(self, families: Set[str]) -> Chosen | None:
        """Choose among the forms of some families."""
        task = replace(self.task, menus=tuple(self._menus(families)))
        choice = by_error(task, self.curves)
        if choice is None:
            return None
        return Chosen(task, choice, self.probe.divergence(task.lost(choice)) + self._together(task, choice))

    def _menus(self, families: Set[str]) -> list[FormMenu]:
        menus = []
        for offer, layer in zip(self.task.offers, self.layers, strict=True):
            counts = [len(family.forms(offer.layer)) for family in offer.families]
            usable = np.repeat([family.name in families for family in offer.families], counts)
            losses = np.where(usable, layer.of(offer.errors), np.inf)
            menus.append(offer.menu(self.task.target.kind, losses))
        return menus

    def _together(self, task: Task, choice: Floats) -> float:
        """Measure what all forms do at once."""
        copy = task.graph.copy()
        for offer, menu, share in zip(task.offers, task.menus, choice[len(task.groups) :].tolist(), strict=True):
            form = menu.at(share)
            if form is not None:
                self.substitutes.write(copy, offer.layer, form)
        return self.judge.of(copy)
