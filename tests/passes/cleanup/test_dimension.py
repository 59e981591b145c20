"""Arithmetic on dimensions and the targets it leads to."""

import pytest

from optimise_onnx.passes.cleanup import dimension
from optimise_onnx.passes.cleanup.shape_targets import expand_target, reshape_target


@pytest.mark.parametrize(
    ("rule", "a", "b", "expected"),
    [
        (dimension.multiply, 3, 4, 12),
        (dimension.multiply, "N", 1, "N"),
        (dimension.multiply, "N", 2, None),
        (dimension.multiply, None, 0, 0),
        (dimension.add, "N", 0, "N"),
        (dimension.add, "N", 1, None),
        (dimension.subtract, "N", "N", 0),
        (dimension.subtract, None, None, None),
        (dimension.divide, 7, 2, 3),
        (dimension.divide, -7, 2, -3),
        (dimension.divide, 7, 0, None),
        (dimension.divide, "N", 1, "N"),
        (dimension.least, "N", "N", "N"),
        (dimension.greatest, "N", 3, None),
        (dimension.equal, "N", -1, 0),
        (dimension.equal, "N", 3, None),
        (dimension.equal, "N", "N", 1),
        (dimension.equal, None, None, None),
    ],
)
def test_dimension_arithmetic(rule: object, a: object, b: object, expected: object) -> None:
    assert rule(a, b) == expected  # type: ignore[operator]


@pytest.mark.parametrize(
    ("entries", "dims", "expected"),
    [
        (["N", 8], ["N", 2, 4], [-1, 8]),
        ([None, 8], ["N", 2, 4], [-1, 8]),
        (["N", -1], ["N", 2, 4], [0, -1]),
        (["M", -1], ["N", 2, 4], None),
        ([None, -1], ["N", 2, 4], None),
        (["N", "S", 4, 2], ["N", "S", 8], [0, 0, 4, 2]),
        (["N", "S", "H"], ["N", "S", 8], [0, 0, -1]),
        (["S", "N", 8], ["N", "S", 8], None),
        (["N", 4, "S"], ["N", "S", 4], [0, 4, -1]),
        ([2, 8], ["N", 8], [2, 8]),
    ],
)
def test_a_reshape_target_is_stored_only_where_it_is_proved(entries: list, dims: list, expected: object) -> None:
    assert reshape_target(entries, dims) == expected


def test_a_literal_zero_is_no_copy() -> None:
    assert reshape_target(["N", 0], ["N", 0], allow_zero=True) is None
    assert reshape_target(["N", -1], ["N", 4], allow_zero=True) is None


@pytest.mark.parametrize(
    ("entries", "dims", "expected"),
    [
        (["N", 8, 4], ["N", 1, 4], [1, 8, 4]),
        (["N", 8], ["M", 1], None),
        (["N", 8], [1], None),
        ([None, 8], [None, 1], None),
        ([5, "S"], ["S"], [5, 1]),
    ],
)
def test_an_expand_target_is_stored_only_where_it_is_proved(entries: list, dims: list, expected: object) -> None:
    assert expand_target(entries, dims) == expected
