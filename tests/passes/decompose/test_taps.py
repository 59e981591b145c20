"""Strided supports: what they are, how they walk, and that greedy choices and fits are as good as they say."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimise_onnx.ir.errors import NumericalError
from optimise_onnx.ir.geometry import Geometry
from optimise_onnx.passes.decompose.supports import Choice, choose, explained, solve_on
from optimise_onnx.passes.decompose.taps import Taps, best_taps, divide, explicit, placements, rows_of, shapes
from tests.passes.decompose.rewriting import Floats, degenerate, features, moments


def _geometry(kernel: tuple[int, ...], pad: int = 1, stride: int = 1, mode: str = "") -> Geometry:
    ones = (1,) * len(kernel)
    pads = (pad,) * len(kernel)
    return Geometry(kernel, tuple(stride for _ in kernel), ones, pads, pads, mode)


def _problem(seed: int, width: int = 36, outputs: int = 5) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    x = features(rng, 500, width)
    cov, cross = moments(x, x @ rng.standard_normal((width, outputs)))
    return cov[0], cross[0]


def test_corners_are_a_dilated_kernel() -> None:
    corners = Taps((0, 0), (2, 2), (2, 2))
    assert corners.flat((3, 3)).tolist() == [0, 2, 6, 8]
    walk = corners.walk(_geometry((3, 3)))
    assert (walk.kernel, walk.dilations, walk.begin, walk.end) == ((2, 2), (2, 2), (1, 1), (1, 1))


def test_the_middle_needs_no_padding() -> None:
    walk = Taps((1, 1), (1, 1), (1, 1)).walk(_geometry((3, 3), stride=2))
    assert (walk.kernel, walk.strides, walk.begin, walk.end) == ((1, 1), (2, 2), (0, 0), (0, 0))


def test_placements_never_crop_one_end_and_pad_the_other() -> None:
    assert [t.offset for t in placements(_geometry((3,)), (1,))] == [(1,)]
    assert [t.offset for t in placements(_geometry((3,), pad=0), (1,))] == [(0,), (1,), (2,)]
    assert {(t.offset, t.step) for t in placements(_geometry((5,), pad=2), (3,))} == {
        ((0,), (1,)),
        ((1,), (1,)),
        ((2,), (1,)),
        ((0,), (2,)),
    }


def test_shapes_are_few_and_smaller() -> None:
    assert shapes((3, 3)) == [(1, 1), (1, 3), (3, 1), (2, 2), (2, 3), (3, 2)]
    assert shapes((1, 3)) == [(1, 1), (1, 2)]
    assert shapes((1, 1)) == []


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER"])
def test_automatic_pads_are_explicit_without_stride(mode: str) -> None:
    walk = _geometry((4, 3), 0, 1, mode)
    found = explicit(walk)
    assert found is not None
    for sizes in ((1, 2), (7, 9)):
        assert (found.begin, found.end) == tuple(tuple(map(int, pads)) for pads in walk.pads(sizes))
    assert explicit(_geometry((4, 3), 0, 2, mode)) is None


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), data=st.data())
def test_a_fit_on_a_support_is_least_squares_on_the_samples(seed: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(seed)
    x, y = features(rng, 80, 12), rng.standard_normal((80, 3))
    rows = np.array(sorted(data.draw(st.sets(st.integers(0, 11), min_size=1))))
    cov, cross = moments(x, y)
    found = solve_on(cov[0], cross[0], rows)
    design = np.c_[x[:, rows], np.ones(len(x))]
    wanted = np.linalg.lstsq(design, y)[0]
    np.testing.assert_allclose(found[rows], wanted[:-1], rtol=1e-6, atol=1e-8)
    assert not np.delete(found, rows, 0).any()
    error = ((design @ wanted - y) ** 2).mean(0).sum()
    np.testing.assert_allclose(y.var(0).sum() - explained(cov[0], cross[0], rows), error, rtol=1e-8)


def test_the_best_placement_explains_most() -> None:
    cov, cross = _problem(0)
    walk = _geometry((3, 3), pad=0)
    maps = np.arange(4)
    values = {
        taps: explained(cov, cross, rows_of(maps, taps.flat((3, 3)), 9).ravel()) for taps in placements(walk, (2, 2))
    }
    assert best_taps(cov, cross, walk, (2, 2)) == max(values, key=lambda taps: values[taps])


@pytest.mark.parametrize("seed", range(5))
def test_greedy_choices_are_near_the_best_of_all(seed: int) -> None:
    cov, cross = _problem(seed, width=24)
    every = np.arange(24).reshape(8, 3)
    choice = Choice(every[:, :1], every[:, 1:], every[:, :0])

    def value(marked: Any) -> float:
        return explained(cov, cross, np.concatenate([every[:, 0], every[marked, 1:].ravel()]))

    best = max(value(list(chosen)) for chosen in combinations(range(8), 3))
    total = explained(cov, cross, np.arange(24))
    found = choose(cov, cross, choice, 3)
    assert found.sum() == 3
    assert total - value(found) <= 1.1 * (total - best) + 1e-12


@pytest.mark.parametrize("pair", [((3, 3), (1, 1)), ((3, 1), (1, 3)), ((3, 3), (2, 2))])
def test_divided_maps_beat_random_ones(pair: tuple[tuple[int, int], tuple[int, int]]) -> None:
    cov, cross = _problem(7, width=16 * 9)
    walk = _geometry((3, 3))
    patterns = [best_taps(cov, cross, walk, counts) for counts in pair]
    sides = [rows_of(np.arange(16), taps.flat((3, 3)), 9) for taps in patterns]

    def value(marked: Any) -> float:
        return explained(cov, cross, np.concatenate([sides[0][marked].ravel(), sides[1][~marked].ravel()]))

    found = divide(cov, cross, (3, 3), patterns, 8)
    assert found.sum() == 8
    rng = np.random.default_rng(0)
    assert value(found) > max(value(rng.permutation(16) < 8) for _ in range(30))


@pytest.mark.parametrize("what", degenerate())
def test_singular_statistics_give_finite_weights(what: str) -> None:
    x = degenerate()[what]
    cov, cross = moments(x, x @ np.random.default_rng(0).standard_normal((36, 4)))
    assert np.isfinite(solve_on(cov[0], cross[0], np.arange(30))).all()
    every = np.arange(36).reshape(4, 9)
    assert choose(cov[0], cross[0], Choice(every[:, :0], every, every[:, :0]), 2).sum() == 2


def test_nan_is_refused() -> None:
    cov, cross = _problem(0)
    cov[3, 3] = np.nan
    every = np.arange(36).reshape(4, 9)
    with pytest.raises(NumericalError):
        solve_on(cov, cross, np.arange(5))
    with pytest.raises(NumericalError):
        choose(cov, cross, Choice(every[:, :0], every, every[:, :0]), 2)
