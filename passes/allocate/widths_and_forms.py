"""Widths and forms together, and which families of forms to choose from.

Errors of many small changes add up where they are independent, and far worse where every layer drops the same
directions of a stream. So what a choice does is measured with all its changes made at once, channels and forms apart,
in the original network, and families that make it worse are left out. What a form does that was chosen far beyond those
that were measured is measured too, before it is believed.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

import numpy as np

from ...ir.graph import Array
from ..analysis.layers.forms import Form, FormMenu, Offer
from ..analysis.statistics.judge import Judge
from .combined import by_error, one_by_one
from .cost_model import Floats
from .cumulative import CumulativeProbe
from .form_sensitivity import Sensitivity, Substitutes, harm_of
from .problem import Problem

_WEIGHTS = 3
_CHECKS = 32  # rounds: a net, for each measures something new
_TIGHTER = 0.7  # of the budget: where time is measured, less than it is asked for
_NEAR = 1.25  # an error within this factor of one that was measured does as much for its size
_SETTLED = 1.3


@dataclass(frozen=True)
class Chosen:
    """A choice from the menus of a task, and the divergence measured for it."""

    task: Problem
    choice: Floats
    divergence: float


@dataclass(frozen=True)
class JointSearch:
    """``curves`` of groups and ``layers``' sensitivities, by family, are measured one at a time; ``judge`` measures
    all at once, and single forms that are chosen far beyond those measured. What it finds there all families that are
    tried later know, too.
    """

    task: Problem
    curves: Sequence[Array]
    layers: Sequence[Mapping[str, Sensitivity]]
    substitutes: Substitutes
    judge: Judge
    probe: CumulativeProbe
    _further: dict[tuple[int, str], Sensitivity] = field(default_factory=dict, init=False, repr=False)

    def best(self) -> Chosen | None:
        """Return the best choice found, no worse than channels alone; None where the budget is out of reach.

        From all families, each alone, or none, whichever is best, families come in and go one by one while that helps.
        """
        names = sorted({family.name for offer in self.task.offers for family in offer.families})
        tried: dict[frozenset[str], Chosen | None] = {}

        def harm(families: frozenset[str]) -> tuple[float, list[str]]:
            if families not in tried:
                tried[families] = self._with(families)
            found = tried[families]
            return np.inf if found is None else found.divergence, sorted(families)

        best = min([frozenset(names), frozenset(), *(frozenset([name]) for name in names)], key=harm)
        while True:
            near = min((best ^ {name} for name in names), key=harm, default=best)
            if not harm(near)[0] < harm(best)[0]:
                return tried[best]
            best = near

    def _with(self, families: Set[str]) -> Chosen | None:
        """Choose among the forms of some families, their errors weighed against those of lost channels.

        The weight is how many times worse forms are together than one by one, over the same of channels.
        """
        found, weight = None, 1.0
        if self.task.measured:
            self._by_error(families, weight, _TIGHTER)  # so that forms are known which less time may call for
        for _ in range(_WEIGHTS):
            best = self._by_error(families, weight)
            if best is None:
                return found
            task, choice = best
            both = self.probe.divergence(task.lost(choice)), together(task, choice, self.substitutes, self.judge)
            if found is None or sum(both) < found.divergence:
                found = Chosen(task, choice, sum(both))
            channels, forms = one_by_one(task, self.curves, choice)
            if min(*both, channels, forms) <= 0:
                return found
            before, weight = weight, float(np.sqrt(weight * both[1] / (forms / weight) * channels / both[0]))
            if 1 / _SETTLED < weight / before < _SETTLED:
                return found
        return found

    def _by_error(self, families: Set[str], weight: float, share: float = 1.0) -> tuple[Problem, Floats] | None:
        """Choose within a share of the budget, and again while a form is chosen that no measurement is near.

        None where the budget is out of reach.
        """
        found = None
        for _ in range(_CHECKS):
            menus = tuple(self._menus(families, weight))
            task = replace(self.task, menus=menus, budget=share * self.task.budget)
            choice = by_error(task, self.curves)
            if choice is None:
                return found
            found = task, choice
            if not self._measure(task, choice):
                break
        return found

    def _measure(self, task: Problem, choice: Floats) -> bool:
        """Measure the forms of a choice whose errors lie far above those measured at first; say whether any was new."""
        new = False
        for place, offer, form in _changed(task, choice):
            name, error = offer.estimate(form)
            known = self._known(place, name)
            if error > _NEAR * self.layers[place][name].errors[-1] and not known.near(error, _NEAR):
                harm, new = harm_of([(offer.layer, form)], task.graph, self.substitutes, self.judge), True
                self._further[place, name] = known.beside(error, harm)
        return new

    def _known(self, place: int, name: str) -> Sensitivity:
        return self._further.get((place, name), self.layers[place][name])

    def _menus(self, families: Set[str], weight: float) -> list[FormMenu]:
        menus = []
        for place, offer in enumerate(self.task.offers):
            losses = [
                weight * self._known(place, name).of(part.errors)
                if name in families
                else np.full(len(part.errors), np.inf)
                for part in offer.apart()
                for name in (part.families[0].name,)
            ]
            menus.append(offer.menu(self.task.meter, np.concatenate(losses)))
        return menus


def together(task: Problem, choice: Floats, substitutes: Substitutes, judge: Judge) -> float:
    """Measure what all forms of a choice do at once."""
    forms = ((offer.layer, form) for _, offer, form in _changed(task, choice))
    return harm_of(forms, task.graph, substitutes, judge)


def _changed(task: Problem, choice: Floats) -> Iterator[tuple[int, Offer, Form]]:
    """Yield the number of every layer whose form a choice changes, its offer, and the form."""
    shares = choice[len(task.groups) :].tolist()
    for place, (offer, menu, share) in enumerate(zip(task.offers, task.menus, shares, strict=True)):
        form = menu.at(share)
        if form is not None:
            yield place, offer, form
