"""Training of gates: goals on their own, and the whole within a budget."""

import numpy as np
import pytest

from optimise_onnx.ir.graph import Array
from optimise_onnx.passes.analysis.channels.groups import Group
from optimise_onnx.passes.analysis.channels.ranking import GroupRanking
from optimise_onnx.passes.analysis.statistics.gate_training import Goal, StandIns, train

A = Group("a", np.arange(1, 7)[None], ("a",))
B = Group("b", np.arange(7, 15).reshape(2, 4), ("b",))
CLASSES = 15


def goal(budget: float = 8.0, droppable: frozenset[str] = frozenset()) -> Goal:
    orders = {g.name: GroupRanking(g.cells.T, np.arange(g.width + 1.0)) for g in (A, B)}
    return Goal((A, B), {name: (order, 2) for name, order in orders.items()}, cost, budget, droppable)


def cost(kept: Array) -> float:
    return float(2 * kept[0] + kept[1])


def test_scores_start_from_the_widths_given() -> None:
    off, kept = goal().gone(goal().scores(CLASSES))
    assert kept.tolist() == [4, 2]
    assert np.flatnonzero(off).tolist() == [1, 2, 7, 8, 11, 12]


def test_of_every_cell_equally_many_go_and_something_stays_unless_all_may_go() -> None:
    scores = goal().scores(CLASSES)
    scores[1:7], scores[7:15] = 9.0, [5, 5, 5, -1, -1, -1, -1, 4]
    off, kept = goal().gone(scores)
    assert kept.tolist() == [1, 2]
    assert off[7:15].reshape(2, 4).sum(1).tolist() == [2, 2] and off[14]
    assert goal(droppable=frozenset({"a"})).gone(scores)[1][0] == 0


@pytest.mark.parametrize("budget", [4.0, 8.0, 13.0])
def test_shifted_scores_are_within_the_budget_and_hardly_less(budget: float) -> None:
    scores = np.random.default_rng(0).standard_normal(CLASSES)
    spent = cost(goal().gone(scores + goal(budget).excess(scores))[1])
    assert budget - 2 <= spent <= budget


def test_marginal_costs_are_those_of_a_class() -> None:
    found = goal().marginal(np.array([4, 4]), CLASSES)
    assert found[1:7] == pytest.approx(2) and found[7:15] == pytest.approx(0.5)


class Linear:
    """An error that falls by ``worth`` (classes,) with every class that stays."""

    def __init__(self, worth: Array) -> None:
        self.worth, self.classes, self.reads = worth, CLASSES, list[object]()

    def batches(self) -> list[int]:
        return list(range(100))

    def slopes(self, _feeds: int, gates: Array, _copies: object) -> tuple[float, Array]:
        return float((gates @ self.worth).sum()), np.stack([self.worth, 1.5 * self.worth])


def test_what_is_worth_least_for_what_it_takes_goes() -> None:
    worth = np.zeros(CLASSES)
    worth[1:7], worth[7:15] = [9, 1, 9, 9, 1, 9], [3, 3, 0.1, 3, 3, 3, 3, 0.1]
    costs = {g.name: (np.ones(g.cells.size), np.full((g.cells.size,) * 2, np.inf)) for g in (A, B)}
    found = train(Linear(worth), goal(11.0), StandIns({}, costs))  # type: ignore[arg-type]
    assert set(np.argsort(found[1:7])[:2] + 1) == {2, 5}
    assert found[9] == found[7:11].min() and found[14] == found[11:15].min()
