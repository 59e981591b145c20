"""What every method of allocation is given: the ranked graph, the limit, the widths allowed, and what they cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, gcd

import numpy as np
import numpy.typing as npt

from ...ir.cost import cost, total
from ...ir.errors import TargetNotMetError
from ...ir.graph import Graph
from ...ir.runner import Runner
from ..analysis.blocks import cut
from ..analysis.channels import Group
from ..analysis.cost_terms import Product, bias_products, cost_products, evaluate
from ..analysis.dropping import block_cut, mean_shifts, remove_blocks
from ..analysis.ranking import Ranking
from .greedy import Cost, Term
from .targets import Target

Ints = npt.NDArray[np.int64]

_TRIES = 4


@dataclass(frozen=True)
class Task:
    """Widths are arrays (G,) of rounds kept, in the order of the analysis' groups.

    ``minimum`` (G,) of at least 1, the whole width where a group is not ranked; ``step`` (G,) of which widths are
    multiples; ``later`` is what the reconstruction will add.
    """

    graph: Graph
    ranking: Ranking
    runner: Runner
    target: Target
    budget: float
    later: tuple[Product, ...]
    cost: Cost
    minimum: Ints
    step: Ints

    @staticmethod
    def of(
        graph: Graph, ranking: Ranking, runner: Runner, target: Target, budget: float, solved: bool, widths: Widths
    ) -> Task:
        """Write the cost over widths; ``solved`` says that layers will be solved anew and get biases."""
        groups = ranking.channels.groups
        later = tuple(bias_products(graph, ranking.channels, target.kind)) if solved else ()
        terms = [_term(product) for product in (*cost_products(graph, ranking.channels, target.kind), *later)]
        minimum = [widths.minimum(group) if group.name in ranking.groups else group.width for group in groups]
        step = [widths.step(group) for group in groups]
        model = Cost.of(terms, len(groups))
        return Task(graph, ranking, runner, target, budget, later, model, np.array(minimum), np.array(step))

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
        return [
            np.array([k for k in range(width, least - 1, -1) if k == width or k % size == 0], np.int64)
            for width, least, size in zip(self.widths.tolist(), self.minimum.tolist(), self.step.tolist(), strict=True)
        ]

    def lost(self, kept: Ints) -> dict[str, int]:
        """Return the rounds that each group loses by name, where any; a group that may not go entirely then stays."""
        found = {}
        for group, stay in zip(self.groups, kept.tolist(), strict=True):
            if stay < group.width and (stay or group.name in self.ranking.droppable):
                found[group.name] = group.width - stay
        return found

    def pruned(self, kept: Ints) -> Graph:
        """Return the really rewritten graph."""
        channels = self.ranking.channels
        copy, stays = self.graph.copy(), self.ranking.kept(self.lost(kept))
        parts = block_cut(copy, channels, stays)
        remove_blocks(copy, channels, stays, mean_shifts(copy, channels, parts, {}), parts, self.runner)
        return copy

    def price(self, kept: Ints) -> float:
        """Return the cost of the really rewritten graph, with what comes later."""
        return self.target.measure(total(cost(self.pruned(kept)))) + evaluate(self.later, kept)

    def meet(self, solve: Callable[[float], Ints | None]) -> Ints | None:
        """Let ``solve`` choose widths within the model's budget, and within less where the real cost exceeds it."""
        aim = self.budget
        for _ in range(_TRIES):
            kept = solve(aim)
            if kept is None:
                return None
            real = self.price(kept)
            if real <= self.budget:
                return kept
            aim -= real - self.budget
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

    def unreachable(self, best: float) -> TargetNotMetError:
        """Say what can be reached."""
        left = f"{best:,.0f} {self.target.kind} are left; the target is {self.budget:,.0f}"
        return TargetNotMetError(
            f"{self.target} cannot be reached",
            why=f"with all channels gone that may go, {left}",
            hint="allow more with --max-ratio or fewer --keep; `analyse` lists what is pinned and why",
        )


@dataclass(frozen=True)
class Widths:
    """Which widths are allowed: multiples of ``align`` channels, of which a group may lose a share ``max_ratio``."""

    align: int
    max_ratio: float

    def minimum(self, group: Group) -> int:
        """Return how many rounds a group keeps at least, never none."""
        return max(1, ceil(round((1 - self.max_ratio) * group.width, 9)))

    def step(self, group: Group) -> int:
        """Return how many rounds make a multiple of ``align`` channels."""
        return min(self.align // gcd(self.align, len(group.cells)), group.width)


def _term(product: Product) -> Term:
    return Term(product.factor, product.left.per_unit, product.left.fixed, product.right.per_unit, product.right.fixed)
