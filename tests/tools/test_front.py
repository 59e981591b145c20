"""The knee of a front, against what it is by definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimise_onnx.tools.front import knee


def test_the_knee_is_where_the_curve_bends() -> None:
    assert knee([1.0, 0.8, 0.5, 0.3, 0.1], [0.0, 0.01, 0.02, 0.05, 0.9]) == 3


@pytest.mark.parametrize("loss", [[0.0, 0.5, 1.0], [0.0, 0.9, 1.0], [0.2, 0.2, 0.2]])
def test_a_line_a_hump_and_a_flat_curve_have_none(loss: list[float]) -> None:
    assert knee([1.0, 0.5, 0.0], loss) is None


@given(st.lists(st.tuples(st.integers(1, 99), st.integers(0, 100)), min_size=1, max_size=8))
def test_no_point_lies_farther_below_the_chord(inner: list[tuple[int, int]]) -> None:
    cost, loss = (np.array(each, float) for each in zip((100, 0), *inner, (0, 100), strict=True))
    far = ((100 - cost) - loss) / np.sqrt(2)  # from the line through (100, 0) and (0, 100)
    found = knee(cost.tolist(), loss.tolist())
    if far.max() <= 0:
        assert found is None
    else:
        assert found is not None and far[found] == far.max()
