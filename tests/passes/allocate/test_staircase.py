"""Staircases over one group's width: what is measured of them, and which of their edges are kept."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimise_onnx.passes.allocate.staircase import Stairs, stairs, to_measure

WIDTHS = st.integers(1, 200)
TREADS = st.sampled_from([1, 2, 3, 4, 8, 16, 64])
SAVINGS = st.lists(st.floats(-1.5, 1.5), min_size=10, max_size=10)


@given(WIDTHS, TREADS, st.integers(1, 50))
def test_few_widths_are_measured_all_of_them_worth_it(width: int, tread: int, least: int) -> None:
    found = to_measure(width, tread, least)
    assert len(found) <= 8
    assert (np.diff(found) > 0).all()
    assert all(least <= each < width for each in found.tolist())
    fine = {max(1, min(tread, width) // part) for part in (2, 4)}
    assert all(each % tread == 0 or each in fine for each in found.tolist())


@pytest.mark.parametrize(
    ("width", "tread", "least", "expected"),
    [
        (64, 16, 1, [4, 8, 16, 32, 48]),
        (64, 16, 17, [32, 48]),
        (16, 16, 1, [4, 8]),
        (12, 16, 1, [3, 6]),
        (6, 16, 1, [1, 3]),
        (16, 4, 1, [1, 2, 4, 8, 12]),
        (64, 4, 1, [1, 2, 4, 16, 28, 36, 48, 60]),
        (1, 4, 1, []),
        (3, 1, 1, [1, 2]),
    ],
)
def test_widths_that_are_measured(width: int, tread: int, least: int, expected: list[int]) -> None:
    assert to_measure(width, tread, least).tolist() == expected


def measured(width: int, tread: int, savings: list[float]) -> Stairs:
    """Stairs of any savings, as shares of all that can be saved."""
    asked = to_measure(width, tread, 1)
    return stairs(width, tread, asked, np.array(savings[: len(asked)]), 1.0)


@given(WIDTHS, TREADS, SAVINGS)
def test_every_edge_that_is_kept_pays(width: int, tread: int, savings: list[float]) -> None:
    found = measured(width, tread, savings)
    assert found.rounds[-1] == width and found.effective[-1] == width
    assert (np.diff(found.rounds) > 0).all() and found.rounds[0] > 0
    assert (np.diff(found.effective) > 0.01 * width * (1 - 1e-9)).all() and found.effective[0] > 0


@given(WIDTHS, TREADS, SAVINGS)
def test_levels_and_rounds_are_each_others_inverse(width: int, tread: int, savings: list[float]) -> None:
    found = measured(width, tread, savings)
    levels = [found.level(k) for k in found.rounds.tolist()]
    np.testing.assert_allclose(levels, found.effective)
    assert [found.nearest(level) for level in levels] == found.rounds.tolist()
    assert (found.level(0), found.nearest(0.0)) == (0.0, 0)


@pytest.mark.parametrize("width", [8, 30, 64])
@pytest.mark.parametrize("tread", [1, 4])
def test_of_a_literal_staircase_the_edges_stay(width: int, tread: int) -> None:
    """Blocks of four channels, every width measured: a width between two edges costs what the next edge does."""
    asked = np.arange(1, width)
    blocks = -(-np.arange(width + 1) // 4)
    found = stairs(width, tread, asked, (blocks[-1] - blocks[asked]).astype(float), float(blocks[-1]))
    assert found.rounds.tolist() == [*range(4, width, 4), width]
    np.testing.assert_allclose(found.effective, width * np.arange(1, blocks[-1] + 1) / blocks[-1])


def test_between_measured_widths_multiples_of_the_tread_are_told() -> None:
    asked = to_measure(64, 4, 1)
    found = stairs(64, 4, asked, (64.0 - asked) / 64, 1.0)
    assert found.rounds.tolist() == [1, 2, *range(4, 65, 4)]
    np.testing.assert_allclose(found.effective, found.rounds)


def test_a_width_that_is_slower_than_the_next_is_no_edge() -> None:
    found = stairs(32, 8, np.array([8, 16, 24]), np.array([0.7, 0.2, 0.3]), 1.0)
    assert found.rounds.tolist() == [8, 24, 32]
    assert found.level(16) == pytest.approx((found.level(8) + found.level(24)) / 2)


@pytest.mark.parametrize("exposed", [0.0, 1.0])
def test_where_nothing_is_saved_all_stays(exposed: float) -> None:
    found = stairs(32, 8, np.array([8, 16, 24]), np.zeros(3), exposed)
    assert found.rounds.tolist() == [32]
    assert found.level(16) == 16 and found.nearest(0.1) == 32
