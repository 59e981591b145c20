"""Criteria: additive costs by hand, what elimination promises, and which order hurts a trained network least."""

from typing import Any

import digits
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from optimise_onnx.passes.analysis.compensation import compensated
from optimise_onnx.passes.analysis.linear import linear_layers
from optimise_onnx.passes.analysis.ranking import GroupRanking, Ranking
from optimise_onnx.passes.analysis.readers import Reader, readers
from optimise_onnx.passes.select.additive import rounds_by_cost, unit_costs
from optimise_onnx.passes.select.criteria import CRITERIA

Array = NDArray[Any]


def reader(weight: Array, unit: Array, x: Array | None = None) -> Reader:
    """A reader of rows ``x`` (n, d), or one without data."""
    if x is None:
        return Reader("layer", 0, weight, unit, None, None)
    return Reader("layer", 0, weight, unit, x.mean(0), np.cov(x.T, bias=True))


def test_costs_by_hand() -> None:
    weight = np.array([[1.0, 0], [0, 2], [2, 0], [0, 1]])
    unit = np.array([0, 1, 1, -1])
    np.testing.assert_allclose(unit_costs([weight], [unit], [None], 2), [0.1, 0.8])
    np.testing.assert_allclose(unit_costs([weight], [unit], [np.array([4, 1, 0, 1.0])], 2), [4 / 9, 4 / 9])
    np.testing.assert_allclose(unit_costs([weight, 3 * weight], [unit, unit], [None, None], 2), [0.2, 1.6])
    np.testing.assert_allclose(unit_costs([0 * weight], [unit], [None], 2), [0, 0])


@given(arrays.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 9)), elements=st.floats(0, 9)))
def test_rounds_take_the_cheapest_of_each_cell(costs: Array) -> None:
    order, curve = rounds_by_cost(costs.ravel(), len(costs))
    assert order.shape == costs.T.shape and len(curve) == costs.shape[1] + 1
    np.testing.assert_array_equal(np.sort(order, axis=0), np.arange(costs.size).reshape(costs.shape).T)
    taken = costs.ravel()[order]
    assert (np.diff(taken, axis=0) >= 0).all()
    np.testing.assert_allclose(np.diff(curve), taken.sum(1), atol=1e-12)


def test_of_equals_the_last_goes_first() -> None:
    order, _ = rounds_by_cost(np.array([1.0, 0, 0, 1]), 1)
    assert order.ravel().tolist() == [2, 1, 3, 0]


@pytest.mark.parametrize("criterion", sorted(CRITERIA))
@pytest.mark.parametrize("form", [(1, 6), (2, 3)])
def test_every_criterion_orders_every_unit(criterion: str, form: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    weight, unit = rng.standard_normal((12, 4)), np.repeat(np.arange(6), 2)
    order, curve = CRITERIA[criterion]([reader(weight, unit, rng.standard_normal((99, 12)))], form)
    assert order.shape == form[::-1]
    assert sorted(order.ravel().tolist()) == list(range(6))
    np.testing.assert_array_equal(np.sort(order // form[1], axis=1), np.tile(np.arange(form[0]), (form[1], 1)))
    assert curve[0] == 0 and (np.diff(curve) >= -1e-12).all() and curve[-1] == pytest.approx(1, rel=0.1)


def test_a_copy_costs_nothing_to_eliminate() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((500, 4))
    x = np.c_[x, x[:, 1], x[:, 0] - x[:, 2]]
    order, curve = CRITERIA["obs"]([reader(10 * rng.standard_normal((6, 3)), np.arange(6), x)], (1, 6))
    assert curve[2] < 1e-3 < curve[3]
    _, plain = CRITERIA["activation"]([reader(rng.standard_normal((6, 3)), np.arange(6), x)], (1, 6))
    assert plain[2] > 0.01


def test_without_covariances_elimination_falls_back() -> None:
    rng = np.random.default_rng(0)
    weight, unit, x = rng.standard_normal((6, 3)), np.arange(6), rng.standard_normal((99, 6))
    known = reader(weight, unit, x)
    wide = Reader("wide", 0, weight, unit, x.mean(0), x.var(0))
    for mixed in ([known, reader(weight, unit)], [wide], []):
        for found, wanted in zip(CRITERIA["obs"](mixed, (1, 6)), CRITERIA["activation"](mixed, (1, 6)), strict=True):
            np.testing.assert_array_equal(found, wanted)


def at_random(ranking: Ranking, seed: int) -> Ranking:
    """Shuffle the units of every group."""
    rng = np.random.default_rng(seed)
    orders = {
        g.name: GroupRanking(rng.permutation(g.cells.T), np.arange(g.width + 1.0)) for g in ranking.channels.groups
    }
    return Ranking("random", ranking.channels, orders)


def compensated_loss(reading: list[Reader], stays: Array) -> float:
    """Relative output error, summed over readers, when they make up for what went."""
    total = 0.0
    for one in reading:
        assert one.cov is not None and one.mean is not None
        rows = np.where(one.unit >= 0, stays[one.unit], True)
        rest = one.weight - compensated(one.weight, one.cov, one.mean, rows, 1e-4)[0]
        total += np.einsum("dm,de,em->", rest, one.cov, rest) / np.einsum("dm,de,em->", one.weight, one.cov, one.weight)
    return float(total)


def test_elimination_loses_least_in_every_group() -> None:
    losses: dict[str, list[float]] = {}
    for criterion in sorted(CRITERIA):
        shared = digits.context()
        digits.run(f"select-channels{{criterion={criterion}}}", shared)
        ranking: Ranking = shared.decisions["ranking"]
        layers = linear_layers(digits.network(), ranking.channels.context.shapes)
        for group in ranking.channels.groups:
            reading = readers(digits.network(), ranking.channels, group, layers, shared.decisions["moments"], {})
            gone = ranking.groups[group.name].order[: group.width // 2]
            losses.setdefault(criterion, []).append(compensated_loss(reading, ~np.isin(group.cells.ravel(), gone)))
    activation, magnitude, obs = (np.array(losses[name]) for name in ("activation", "magnitude", "obs"))
    assert (obs < np.minimum(activation, magnitude)).all()
    assert activation.mean() < magnitude.mean()


def test_orders_of_a_trained_network() -> None:
    """Divergence after reconstruction, over two widths: elimination, then activation, then magnitude, then chance."""
    found: dict[str, float] = {}
    for criterion in (*CRITERIA, "random"):
        for keep in (0.5, 0.35):
            shared = digits.context()
            known = "magnitude" if criterion == "random" else criterion
            graph = digits.run(f"select-channels{{criterion={known},keep={keep}}}", shared)
            if criterion == "random":
                shared.decisions["ranking"] = at_random(shared.decisions["ranking"], 0)
            digits.run("remove-channels,reconstruct", shared, graph)
            found[criterion] = found.get(criterion, 0.0) + digits.examiner().of(graph)
    assert found["obs"] < found["activation"] < 1.1 * found["magnitude"]
    assert max(found["obs"], found["activation"], found["magnitude"]) < 0.7 * found["random"], found
