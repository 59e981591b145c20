"""Means and copies: costs against explicit substitution (methods.md#stand-ins), the order against a slow one."""

from collections.abc import Sequence

import numpy as np
import pytest

from optimise_onnx.passes.analysis.channels.readers import Reader
from optimise_onnx.passes.analysis.statistics.substitutes import relative, shrunk, substitution_costs, tap_shares
from optimise_onnx.passes.select.zero_or_similar import partner_rounds, zero_or_similar
from tests.passes.select.support import Array, cases, random_reader, reader, samples, taps

RNG = np.random.default_rng(0)


def slow_cost(one: Reader, unit: int, partner: int | None) -> float:
    """Error of a reader's output when one unit is replaced, from the covariance of the replaced input."""
    rows = np.flatnonzero(one.unit == unit)
    others = np.flatnonzero(one.unit == partner) if partner is not None else rows[:0]
    cov = shrunk(one)
    change = np.zeros((len(one.unit), len(one.unit)))
    change[rows, rows] = 1
    if len(others) == len(rows):
        for a, b in zip(rows, others, strict=True):
            change[a, b] = -cov[a, b] / cov[b, b]
    return relative(one) * float(np.trace(one.weight.T @ change @ cov @ change.T @ one.weight))


@pytest.mark.parametrize("seed", range(4))
def test_costs_are_those_of_substitution(seed: int) -> None:
    for readers, (cells, width) in cases(np.random.default_rng(seed)):
        units = cells * width
        means, copies = substitution_costs(readers, units)
        np.testing.assert_allclose(
            means, [sum(slow_cost(r, u, None) for r in readers) for u in range(units)], rtol=1e-8
        )
        wanted = [[sum(slow_cost(r, u, p) for r in readers) for p in range(units)] for u in range(units)]
        np.fill_diagonal(table := np.array(wanted), np.inf)
        np.testing.assert_allclose(copies, table, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_f6_a_partner_leaves_one_minus_the_squared_correlation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, weight = samples(rng, 200, 5), rng.standard_normal((5, 3))
    means, copies = substitution_costs([reader(weight, np.arange(5), x)], 5)
    off = ~np.eye(5, dtype=bool)
    wanted = means[:, None] * (1 - np.corrcoef(x.T) ** 2)
    np.testing.assert_allclose(copies[off], wanted[off], rtol=1e-8)
    whole = ((x - x.mean(0)) @ weight).var(0).sum()
    np.testing.assert_allclose(means, x.var(0) * (weight**2).sum(1) / whole, rtol=1e-8)


def slow_rounds(means: Array, copies: Array, form: tuple[int, int]) -> tuple[list[int], list[float]]:
    """Remove what leaves the smallest total, each total from its definition."""
    cells, width = form

    def total(gone: Sequence[int]) -> float:
        left = [u for u in range(len(means)) if u not in gone]
        return sum(min(means[u], *(copies[u, p] for p in left), np.inf) for u in gone)

    order: list[int] = []
    curve = [0.0]
    for _ in range(width):
        open_cells = set(range(cells))
        while open_cells:
            free = [u for u in range(len(means)) if u not in order and u // width in open_cells]
            order.append(min(free[::-1], key=lambda u: total([*order, u])))
            open_cells.remove(order[-1] // width)
        curve.append(total(order))
    return order, curve


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("form", [(1, 7), (2, 4), (3, 1), (1, 1)])
def test_the_order_is_slow_greedy(seed: int, form: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    units = form[0] * form[1]
    means, copies = rng.random(units), rng.random((units, units))
    np.fill_diagonal(copies, np.inf)
    rounds, curve = partner_rounds(means, copies, form)
    order, wanted = slow_rounds(means, copies, form)
    assert rounds.ravel().tolist() == order
    np.testing.assert_allclose(curve, wanted, rtol=1e-12)


def test_copies_go_until_one_is_left() -> None:
    rng = np.random.default_rng(0)
    x = samples(rng, 300, 6)
    x[:, 3] = 2 * x[:, 1] + 5
    x[:, 5] = -x[:, 1]
    order, curve = zero_or_similar([reader(rng.standard_normal((6, 4)), np.arange(6), x)], (1, 6), RNG)
    assert set(order[:2].ravel().tolist()) < {1, 3, 5}
    assert curve[2] < 1e-10 < curve[3]


def test_a_constant_partner_gives_nothing() -> None:
    rng = np.random.default_rng(0)
    x = samples(rng, 50, 4)
    x[:, 2] = 1
    means, copies = substitution_costs([reader(rng.standard_normal((4, 2)), np.arange(4), x)], 4)
    np.testing.assert_allclose(copies[[0, 1, 3], 2], means[[0, 1, 3]])
    assert means[2] == 0
    assert tap_shares(np.diag([1.0, 0.0]), np.array([0]), np.array([1])).tolist() == [0]


def test_another_number_of_taps_is_no_partner() -> None:
    one = random_reader(np.random.default_rng(0), np.array([0, 0, 1, 1, 2, -1]))
    means, copies = substitution_costs([one], 3)
    assert copies[0, 2] == pytest.approx(means[0]) and copies[2, 0] == pytest.approx(means[2])
    assert copies[0, 1] < means[0]
    assert substitution_costs([random_reader(np.random.default_rng(0), taps(2, 1))], 4)[1][3, 0] == 0
