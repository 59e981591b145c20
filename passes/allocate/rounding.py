"""From shares of a layer's cost to forms: rounded down, then up one by one as far as the budget allows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...ir.graph import Array
from ..analysis.layers.forms import Form


@dataclass(frozen=True, eq=False)
class Rung:
    """The forms of one kind that a layer may take, by ascending ``costs`` (K,), and the cost that is ``wanted``."""

    forms: tuple[Form, ...]
    costs: Array
    wanted: float

    @property
    def below(self) -> int:
        """Place of the dearest form that costs no more than wanted; the cheapest where all cost more."""
        return max(int(np.searchsorted(self.costs, self.wanted * (1 + 1e-9), "right")) - 1, 0)


def climb(rungs: Sequence[Rung], budget: float) -> list[int]:
    """Return the place of each layer's form: all :attr:`Rung.below`, then those that fell shortest go up by one.

    ``budget`` is what all forms together may cost; it is exceeded only where the forms below do so already.
    """
    places = [rung.below for rung in rungs]
    spent = sum(float(rung.costs[place]) for rung, place in zip(rungs, places, strict=True))
    short = [rung.wanted - float(rung.costs[place]) for rung, place in zip(rungs, places, strict=True)]
    for number in np.argsort(-np.array(short), kind="stable").tolist():
        costs, place = rungs[number].costs, places[number]
        if place + 1 == len(costs):
            continue
        step = float(costs[place + 1] - costs[place])
        if spent + step <= budget:
            places[number], spent = place + 1, spent + step
    return places
