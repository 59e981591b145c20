"""What every method of allocation is given: the ranked graph, the limit, the widths allowed, and what they cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, gcd
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ...ir.cost import cost
from ...ir.graph import Graph
from ...ir.runner import Runner
from ...ir.shapes import concrete, input_sizes
from ..analysis.channels.branch_removal import branch_cut, mean_shifts, remove_branches
from ..analysis.channels.branches import cut
from ..analysis.channels.groups import Group
from ..analysis.channels.ranking import Ranking
from ..analysis.costs.meters import Meter
from ..analysis.costs.products import Product, evaluate
from ..analysis.costs.steps import Steps
from ..analysis.layers.forms import Form, FormMenu, Offer
from ..analysis.layers.linear import linear_layers, spatial_sizes
from .cost_model import CostModel as Model
from .cost_model import Floats, Term
from .greedy import Menu, allocate
from .largest import LargestStep, allocate_within
from .rounding import Rung, climb
from .staircase import Stairs

Ints = npt.NDArray[np.int64]
Choice = TypeVar("Choice", Ints, Floats)

_TRIES = 6
_MULTIPLES = 4


@dataclass(frozen=True)
class Problem:
    """Widths are arrays (G,) of rounds kept, in the order of the analysis' groups.

    ``budget`` in the ``meter``'s unit; ``minimum`` (G,) of at least 1, the whole width where a group is not ranked;
    ``step`` (G,) of which widths are multiples; ``later`` is what the reconstruction will add. A choice (G + S,) has
    after the widths the share of its cost that each of the ``offers`` keeps, one of its ``menus``; widths alone mean
    that all layers keep their form. With ``stairs``, one of every group, ``cost`` is over effective widths.
    """

    graph: Graph
    ranking: Ranking
    runner: Runner
    meter: Meter
    budget: float
    later: tuple[Product, ...]
    cost: Model | LargestStep
    minimum: Ints
    step: Ints
    offers: tuple[Offer, ...] = ()
    menus: tuple[FormMenu, ...] = ()
    stairs: tuple[Stairs, ...] = ()
    measured: bool = False

    @staticmethod
    def of(
        graph: Graph,
        ranking: Ranking,
        runner: Runner,
        meter: Meter,
        budget: float,
        solved: bool,
        widths: Widths,
        offers: tuple[Offer, ...] = (),
    ) -> Problem:
        """Write the cost over choices; ``solved`` says that layers will be solved anew and get biases."""
        groups = ranking.channels.groups
        later = tuple(meter.later(graph, ranking.channels)) if solved else ()
        shares = {offer.layer.node: len(groups) + place for place, offer in enumerate(offers)}
        products = meter.products(graph, ranking.channels)
        variables = len(groups) + len(offers)
        model: Model | LargestStep
        if isinstance(products, Steps):
            model = LargestStep(products.beside(later))
        else:
            model = Model.of([Term.of(product, shares) for product in (*products, *later)], variables)
        minimum = [widths.minimum(group) if group.name in ranking.groups else group.width for group in groups]
        step = [widths.step(group) for group in groups]
        return Problem(graph, ranking, runner, meter, budget, later, model, np.array(minimum), np.array(step), offers)

    @property
    def groups(self) -> Sequence[Group]:
        """The groups that widths are in the order of."""
        return self.ranking.channels.groups

    @property
    def widths(self) -> Ints:
        """Rounds of every group, (G,)."""
        return np.array([group.width for group in self.groups], np.int64)

    @property
    def droppable(self) -> Ints:
        """Numbers of the groups that may keep nothing."""
        return np.array([n for n, group in enumerate(self.groups) if group.name in self.ranking.droppable], np.int64)

    def levels(self) -> list[Ints]:
        """Return each group's allowed widths, descending from all of it; no group is empty."""
        if self.stairs:
            bounds = zip(self.stairs, self.minimum.tolist(), strict=True)
            return [stairs.rounds[stairs.rounds >= least][::-1] for stairs, least in bounds]
        return [
            np.array([k for k in range(width, least - 1, -1) if k == width or k % size == 0], np.int64)
            for width, least, size in zip(self.widths.tolist(), self.minimum.tolist(), self.step.tolist(), strict=True)
        ]

    def modelled(self, kept: Ints) -> float:
        """Return what the model says that widths cost."""
        levels = (
            [stairs.level(k) for stairs, k in zip(self.stairs, kept.tolist(), strict=True)] if self.stairs else kept
        )
        return self.cost(np.append(levels, np.ones(self.cost.variables - len(kept))))

    def allocate(self, menus: Sequence[Menu], budget: float) -> Floats | None:
        """Choose a level of each of the menus within the model's budget, (V,); None where even the least are not."""
        if isinstance(self.cost, LargestStep):
            return allocate_within(menus, self.cost, budget)
        return allocate(menus, self.cost, budget)

    def menu(self, number: int, curve: Floats, least: int) -> Menu:
        """Return what a group may keep, at least ``least`` rounds: levels as the model's cost counts them.

        ``curve`` (width + 1,): error after 0, 1, … rounds, or (1,) for a group that is no longer there.
        """
        if not self.stairs or len(curve) == 1:
            return Menu.of(curve, least, int(self.step[number]))
        stairs = self.stairs[number]
        fits = stairs.rounds >= max(least, 1)
        menu = Menu(stairs.effective[fits], curve[len(curve) - 1 - stairs.rounds[fits]])
        return menu if least else Menu(np.append(0.0, menu.levels), np.append(curve[-1], menu.errors))

    def choice(self, levels: Floats) -> Floats:
        """Turn levels of the groups' menus, and shares of the offers', into a choice."""
        if not self.stairs:
            return levels
        rounds = [stairs.nearest(level) for stairs, level in zip(self.stairs, levels.tolist(), strict=False)]
        return np.append(np.array(rounds, np.float64), levels[len(rounds) :])

    def lost(self, choice: Ints | Floats) -> dict[str, int]:
        """Return the rounds that each group loses by name, where any; a group that may not go entirely then stays."""
        found = {}
        for group, stay in zip(self.groups, choice.astype(np.int64).tolist(), strict=False):
            if stay < group.width and (stay or group.name in self.ranking.droppable):
                found[group.name] = group.width - stay
        return found

    def pruned(self, choice: Ints | Floats) -> Graph:
        """Return the graph really without these channels, every layer in its old form."""
        return without(self.graph, self.ranking, self.runner, self.lost(choice))

    def price(self, choice: Ints | Floats) -> float:
        """Return the cost of the really rewritten graph, with what comes later."""
        plain, forms = self._priced(choice)
        return plain + sum(price for _, price in forms.values())

    def forms(self, choice: Ints | Floats) -> dict[str, Form]:
        """Return what form each layer takes that does not keep its own, by node name."""
        return {name: form for name, (form, _) in self._priced(choice)[1].items()}

    def _priced(self, choice: Ints | Floats) -> tuple[float, dict[str, tuple[Form, float]]]:
        """Return what all but the layers in another form cost, and those forms by node name with their costs."""
        pruned = self.pruned(choice)
        plain = self.meter.of(pruned) + evaluate(self.later, choice[: len(self.groups)])
        rungs = self._rungs(pruned, choice)
        plain -= sum(whole for whole, _ in rungs.values())
        ladder = [rung for _, rung in rungs.values()]
        places = climb(ladder, self.budget - plain)
        chosen = zip(rungs, ladder, places, strict=True)
        return plain, {name: (rung.forms[place], float(rung.costs[place])) for name, rung, place in chosen}

    def _rungs(self, pruned: Graph, choice: Ints | Floats) -> dict[str, tuple[float, Rung]]:
        """Return by node name what a layer whose form changes costs whole, and the forms that it may take."""
        shares = choice[len(self.groups) :].tolist()
        if all(share == 1 for share in shares):
            return {}
        shapes, costs = concrete(pruned, input_sizes(pruned, 1)), cost(pruned)
        layers, found = linear_layers(pruned, shapes), {}
        for offer, menu, share in zip(self.offers, self.menus, shares, strict=True):
            layer, chosen = layers.get(offer.layer.node), menu.at(share)
            if chosen is None or layer is None:
                continue
            sizes = spatial_sizes(layer, shapes)
            whole = self.meter.layer(layer, costs[layer.node].macs, offer.itemsize)
            forms, left = offer.alike(chosen, layer, sizes, self.meter)
            if forms:
                found[layer.node] = float(whole), Rung(forms, whole * left, whole * share)
        return found

    def meet(self, solve: Callable[[float], Choice | None]) -> Choice | None:
        """Let ``solve`` choose within the model's budget, and within less where the real cost exceeds it.

        Where time is meant, the model says only about what things cost, and the caller measures.
        """
        if self.measured:
            return solve(self.budget)
        aim = self.budget
        for attempt in range(_TRIES):
            kept = solve(aim)
            if kept is None:
                return None
            real = self.price(kept)
            if real <= self.budget:
                return kept
            aim -= (real - self.budget) * max(1.0, 2.0 ** (attempt - 2))
        return None

    def together(self, empty: Sequence[int]) -> list[int]:
        """Return the groups that can go entirely at once: all that are asked for, or as many in turn as possible."""
        if self._goes(empty):
            return list(empty)
        chosen: list[int] = []
        for number in empty:
            if self._goes([*chosen, number]):
                chosen.append(number)
        return chosen

    def _goes(self, empty: Sequence[int]) -> bool:
        names = [self.groups[number].name for number in empty]
        return cut(self.graph, self.ranking.channels, names) is not None

    def least(self) -> Ints:
        """Return the widths with everything gone that may go, blocks included."""
        kept = np.array([level[-1] for level in self.levels()], np.int64)
        kept[self.together(self.droppable.tolist())] = 0
        return kept


def without(graph: Graph, ranking: Ranking, runner: Runner, lost: Mapping[str, int]) -> Graph:
    """Return a copy of a ranked graph whose groups, by name, have lost their first rounds."""
    channels = ranking.channels
    copy, stays = graph.copy(), ranking.kept(lost)
    parts = branch_cut(copy, channels, stays)
    remove_branches(copy, channels, stays, mean_shifts(copy, channels, parts, {}), parts, runner)
    return copy


@dataclass(frozen=True)
class Widths:
    """Which widths are allowed: multiples of ``align`` channels, of which a group may lose a share ``max_ratio``.

    ``halved``: ``align`` is halved for narrow groups until at least four multiples fit.
    """

    align: int
    max_ratio: float
    halved: bool = False

    def minimum(self, group: Group) -> int:
        """Return how many rounds a group keeps at least, never none."""
        return max(1, ceil(round((1 - self.max_ratio) * group.width, 9)))

    def step(self, group: Group) -> int:
        """Return how many rounds make a multiple of ``align`` channels."""
        step = self.align // gcd(self.align, len(group.cells))
        while self.halved and _MULTIPLES * step > group.width and step > 1:
            step //= 2
        return min(step, group.width)
