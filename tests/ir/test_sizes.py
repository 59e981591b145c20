"""What open dimensions are called, what statements say about them, and which statements are refused."""

import pytest

from optimise_onnx.ir.errors import CalibrationError, UsageError
from optimise_onnx.ir.sizes import Sizes, Statement, agreed, check, named, open_dims, shapes_at

PICTURE = {"x": ("N", 3, "H", "W")}


def said(name: str, *shape: int) -> Statement:
    return Statement(f"shape of '{name}'", name, shape)


def test_open_dimensions_are_called_by_their_symbol_or_their_place() -> None:
    declared = {"one": ("N", 3, "H", None), "two": (None, "H", 0), "three": (4, "N", "")}
    assert named(declared) == {
        "one": (None, 3, "H", "one[3]"),
        "two": (None, "H", "two[2]"),
        "three": (4, None, "three[2]"),
    }
    assert open_dims(declared) == ["H", "one[3]", "two[2]", "three[2]"]
    of = {"H": 7, "one[3]": 8, "two[2]": 9, "three[2]": 5}
    assert shapes_at(declared, of, 2) == {"one": (2, 3, 7, 8), "two": (2, 7, 9), "three": (4, 2, 5)}


def test_a_symbol_is_what_it_is_first() -> None:
    assert named({"mask": ("S", "S")}) == {"mask": (None, None)}
    assert named({"x": ("N", "S"), "mask": ("S", "S")}) == {"x": (None, "S"), "mask": ("S", "S")}


def test_what_was_said_is_told_from_what_was_tried() -> None:
    assert Sizes({"H": 32, "W": 64}, frozenset({"H"})).said == {"W": 64}


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (said("y", 1, 3), "shape of 'y' is of no input (the model's inputs are 'x')"),
        (said("x", 1, 3, 64), "shape of 'x' does not fit: the model takes [N, 3, H, W]"),
        (said("x", 1, 4, 64, 64), "shape of 'x' does not fit: the model takes [N, 3, H, W]"),
        (said("x", 1, 3, 0, 64), "shape of 'x' has a dimension below 1"),
        (said("x", 1, 3, 64, -1), "shape of 'x' has a dimension below 1"),
        (said("x", 8, 3, 64, 64), "not of one sample: the model takes [N, 3, H, W] (give 1 for the batch)"),
    ],
)
def test_statements_that_do_not_fit_the_model(statement: Statement, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        check(PICTURE, statement)
    assert str(refused.value).endswith(message)


def test_statements_agree() -> None:
    check(PICTURE, said("x", 1, 3, 64, 48))
    assert agreed(named(PICTURE), [said("x", 1, 3, 64, 48)] * 2, UsageError) == {"H": 64, "W": 48}
    shared = {**PICTURE, "y": ("N", "H")}
    assert agreed(named(shared), [said("y", 1, 64)], UsageError) == {"H": 64}
    with pytest.raises(UsageError, match="of 'x' contradicts shape of 'y': H is 64 in one place and 32 in another"):
        agreed(named(shared), [said("x", 1, 3, 64, 48), said("y", 1, 32)], UsageError)
    with pytest.raises(CalibrationError, match="of 'x' contradicts itself: S is 2 in one place and 3 in another"):
        agreed(named({"x": ("N", "S", "S")}), [said("x", 1, 2, 3)], CalibrationError)


def test_question_marks_are_dimensions_of_their_own() -> None:
    declared: dict[str, tuple[int | str | None, ...]] = {"x": ("?", 3, "?", "?")}
    assert open_dims(declared) == ["x[2]", "x[3]"]
    assert agreed(named(declared), [said("x", 1, 3, 48, 192)], CalibrationError) == {"x[2]": 48, "x[3]": 192}
