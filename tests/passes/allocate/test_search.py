"""Searching whole profiles: never worse than where it began, within the budget, and the same again."""

import digits
import numpy as np
import pytest

from optimise_onnx.ir.cost import cost, total
from optimise_onnx.ir.errors import UsageError
from optimise_onnx.passes.allocate.evolution import Evolution
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.manager import PassManager

pytest.importorskip("pymoo", reason="the extra 'search' is not installed")
COUNTS = np.array([6, 6, 6, 6])
WORTH = np.array([5.0, 1.0, 3.0, 0.5])


def evolution() -> Evolution:
    """Levels that cost what they are; errors that only together are what they seem: two of them must agree."""

    def error(levels: np.ndarray) -> float:
        return float(WORTH @ (5 - levels) ** 2 + 20 * abs(levels[0] - levels[2]))

    return Evolution(COUNTS, lambda levels: (levels.sum() / 12, float(levels.sum())), error, 48, 30)


def every() -> np.ndarray:
    return np.stack(np.meshgrid(*[np.arange(6)] * 4), -1).reshape(-1, 4)


def test_the_best_of_all_profiles_is_found() -> None:
    seed = np.array([[5, 0, 4, 3]])
    found = evolution().best(seed, np.random.default_rng(0))
    assert found is not None
    task = evolution()
    within = [levels for levels in every() if levels.sum() <= 12]
    best = min(task.error(levels) for levels in within)
    assert task.error(found) == best < task.error(seed[0])
    assert found.sum() <= 12


def test_it_is_the_same_again_and_what_costs_too_much_is_not_run() -> None:
    first, second = evolution(), evolution()
    seed = np.array([[3, 3, 3, 3]])
    results = [task.best(seed, np.random.default_rng(4)) for task in (first, second)]
    np.testing.assert_array_equal(*results)
    assert first.known == second.known
    assert any(share > 1 for _, share, _ in first.known.values())
    assert all(error < 1e8 for error, share, _ in first.known.values() if share <= 1)


def test_nothing_within_what_may_be_spent() -> None:
    task = Evolution(COUNTS, lambda levels: (2.0, 1.0), lambda _: pytest.fail("it is run"), 6, 2)
    assert task.best(np.array([[0, 0, 0, 0]]), np.random.default_rng(0)) is None


SEARCH = "select-channels,search{target=macs=0.5x,population=6,generations=3,samples=32}"


def test_on_a_trained_network_it_is_no_worse_and_in_the_budget() -> None:
    graph = digits.network()
    text = f'meet-target{{propose="{SEARCH}",finish="remove-channels",guard=false}}'
    records = PassManager.parse(text).run(graph, digits.context())
    (figures,) = (record.figures for record in records if record.name == "search")
    assert figures["error_predicted"] < figures.get("error_before_search", np.inf)
    assert total(cost(graph)).macs <= 0.5 * total(cost(digits.network())).macs


def test_without_data_there_is_nothing_to_measure() -> None:
    graph = digits.network()
    context = Context(digits.context().runner, graph)
    with pytest.raises(UsageError, match="search measures outputs"):
        PassManager.parse(SEARCH.replace("select-channels", "select-channels{criterion=magnitude}")).run(graph, context)
