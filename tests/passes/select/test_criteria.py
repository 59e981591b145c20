"""What every criterion promises: a whole order, a finite curve, whatever the statistics are like."""

from typing import Any

import numpy as np
import pytest

from optimise_onnx.passes.analysis.channels.readers import Reader
from optimise_onnx.passes.select.criteria import CRITERIA
from optimise_onnx.passes.select.criterion import ByReaders
from optimise_onnx.passes.select.evidence import COVARIANCE, NEEDS
from tests.passes.select.support import Array, cases, random_reader, reader, samples, taps

NEEDS_DATA = {name for name, criterion in CRITERIA.items() if COVARIANCE in criterion.needs}
BY_READERS = sorted(name for name, criterion in CRITERIA.items() if isinstance(criterion, ByReaders))
COMPENSATED = (
    "compensation",
    "genetic",
    "genetic-quadratic",
    "interpolative",
    "lasso",
    "obs",
    "obs-swap",
    "particle",
    "pivoted-qr",
)


def ranked(criterion: str, readers: list[Reader], form: tuple[int, int], seed: int = 0) -> tuple[Array, Array]:
    """Rank, and check that the result is a whole order of finite, never falling losses."""
    order, curve = CRITERIA[criterion].score(readers, form, np.random.default_rng(seed))
    assert order.shape == form[::-1] and curve.shape == (form[1] + 1,)
    assert sorted(order.ravel().tolist()) == list(range(form[0] * form[1]))
    np.testing.assert_array_equal(np.sort(order // form[1], axis=1), np.tile(np.arange(form[0]), (form[1], 1)))
    assert np.isfinite(curve).all() and curve[0] == 0
    assert (np.diff(curve) >= -1e-12).all()
    return order, curve


@pytest.mark.parametrize("criterion", BY_READERS)
@pytest.mark.parametrize("form", [(1, 6), (2, 3), (6, 1)])
def test_every_criterion_orders_every_unit(criterion: str, form: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((99, 12)), rng.standard_normal((12, 4))
    _, curve = ranked(criterion, [reader(weight, taps(6, 2), x)], form)
    assert form[1] == 1 or curve[-1] == pytest.approx(1, rel=0.2)


@pytest.mark.parametrize("criterion", BY_READERS)
@pytest.mark.parametrize("seed", range(3))
def test_several_readers_ragged_taps_and_fixed_rows(criterion: str, seed: int) -> None:
    for readers, form in cases(np.random.default_rng(seed)):
        ranked(criterion, readers, form)


@pytest.mark.parametrize("criterion", BY_READERS)
@pytest.mark.parametrize("ridge", [0.0, 1.0])
@pytest.mark.parametrize("count", [1, 2, 5, 200])
def test_degenerate_statistics(criterion: str, ridge: float, count: int) -> None:
    """Dead channels, twins, equal taps, dead weights, few samples, a reader without variance."""
    rng = np.random.default_rng(1)
    x, weight = samples(rng, count, 16), rng.standard_normal((16, 3))
    x[:, 2:4] = 0
    x[:, 6:8] = x[:, 4:6]
    x[:, 9] = x[:, 8]
    weight[10:12] = 0
    one = reader(weight, taps(8, 2), x, ridge)
    still = reader(np.ones((8, 2)), taps(8, 1), np.ones((4, 8)), ridge)
    silent = reader(np.zeros((8, 2)), taps(8, 1), samples(rng, 9, 8), ridge)
    for readers in ([one], [one, still], [silent, one], [still], [silent], [one, one]):
        ranked(criterion, readers, (1, 8))
        ranked(criterion, readers, (2, 4))


@pytest.mark.parametrize("criterion", BY_READERS)
@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_the_scale_of_weights_and_inputs_does_not_matter(criterion: str, scale: float) -> None:
    rng = np.random.default_rng(0)
    x, weight = samples(rng, 99, 12), rng.standard_normal((12, 4))
    order, curve = ranked(criterion, [reader(weight, taps(6, 2), x)], (1, 6))
    for readers in ([reader(weight * scale, taps(6, 2), x)], [reader(weight, taps(6, 2), x * scale)]):
        found, losses = ranked(criterion, readers, (1, 6))
        np.testing.assert_array_equal(found, order)
        np.testing.assert_allclose(losses, curve, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("criterion", sorted(NEEDS_DATA & set(BY_READERS)))
def test_without_covariances_activation_takes_over(criterion: str) -> None:
    rng = np.random.default_rng(0)
    weight, unit, x = rng.standard_normal((6, 3)), np.arange(6), samples(rng, 99, 6)
    known = reader(weight, unit, x)
    wide = Reader("wide", 0, weight, unit, x.mean(0), x.var(0))
    for mixed in ([known, reader(weight, unit)], [wide], [known, wide], []):
        for found, wanted in zip(ranked(criterion, mixed, (1, 6)), ranked("activation", mixed, (1, 6)), strict=True):
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("criterion", BY_READERS)
def test_inputs_are_left_alone_and_runs_repeat(criterion: str) -> None:
    one = random_reader(np.random.default_rng(0), taps(6, 2, 3))
    assert one.cov is not None
    before = one.cov.copy(), one.weight.copy()
    first, second = ranked(criterion, [one], (1, 6)), ranked(criterion, [one], (1, 6))
    np.testing.assert_array_equal(one.cov, before[0])
    np.testing.assert_array_equal(one.weight, before[1])
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("criterion", COMPENSATED)
def test_a_copy_costs_nothing_to_remove(criterion: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((500, 4))
    x = np.c_[x, x[:, 1], x[:, 0] - x[:, 2]]
    weight = np.r_[10 * rng.standard_normal((4, 3)), rng.standard_normal((2, 3))]
    _, curve = ranked(criterion, [reader(weight, np.arange(6), x)], (1, 6))
    assert curve[1] < 1e-3
    if criterion != "lasso":  # which drops what contributes little, a copy or not
        assert curve[2] < 1e-3 < curve[3]
    _, plain = ranked("activation", [reader(rng.standard_normal((6, 3)), np.arange(6), x)], (1, 6))
    assert plain[2] > 0.01


def test_the_names_are_those_of_the_table() -> None:
    without = {"fisher", "flow", "gate-mean", "geometric-median", "magnitude", "magnitude-l1", "random"}
    assert without == CRITERIA.keys() - NEEDS_DATA
    assert all(criterion.paper and criterion.needs <= NEEDS for criterion in CRITERIA.values())
    assert all(criterion.name == name for name, criterion in CRITERIA.items())


def distances(vectors: Any) -> list[float]:
    return [float(sum(np.linalg.norm(a - b) for b in vectors)) for a in vectors]


@pytest.mark.parametrize("seed", range(4))
def test_the_geometric_median_has_the_least_distances(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.standard_normal((12, 3)), rng.standard_normal((8, 4))
    readers = [reader(first, taps(6, 2)), reader(second, taps(6, 1, 2))]
    vectors = np.c_[first.reshape(6, -1) / np.linalg.norm(first), second[:6] / np.linalg.norm(second)]
    order, curve = ranked("geometric-median", readers, (1, 6))
    costs = np.array(distances(vectors))
    assert order.ravel().tolist() == np.argsort(costs).tolist()
    np.testing.assert_allclose(np.diff(curve), np.sort(costs) / costs.sum(), rtol=1e-8)
    by_cell = np.concatenate([distances(vectors[:3]), distances(vectors[3:])]).reshape(2, 3)
    order, _ = ranked("geometric-median", readers, (2, 3))
    np.testing.assert_array_equal(order.T, np.argsort(by_cell, axis=1) + [[0], [3]])


def test_chance_depends_on_the_seed_alone() -> None:
    one = [random_reader(np.random.default_rng(0), taps(12, 1))]
    orders = [ranked("random", one, (2, 6), seed)[0].tolist() for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert ranked("random", [], (2, 6), 0)[0].tolist() == orders[0]
