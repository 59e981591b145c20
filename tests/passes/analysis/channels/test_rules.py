"""Every rule of the table against the literal labels it must give; and the cases the table itself decides."""

import numpy as np
import pytest
from goldens import CASES, Case

from optimise_onnx.passes.analysis.channels.rules.movement import axis_blocks
from optimise_onnx.passes.analysis.channels.rules.table import REWRITES, RULES


@pytest.mark.parametrize("case", CASES, ids=[f"{place}-{case.op}" for place, case in enumerate(CASES)])
def test_a_rule_says_what_its_golden_case_says(case: Case) -> None:
    assert case.text() == case.expected.strip()


def test_every_rule_has_a_golden_case() -> None:
    assert RULES.keys() - {case.op for case in CASES} == set()


def test_only_operators_with_a_rule_are_rewritten() -> None:
    assert REWRITES.keys() - RULES.keys() == set()


@pytest.mark.parametrize(
    ("old", "new", "blocks"),
    [
        ((2, 6, 4), (2, 24), [([0], [0]), ([1, 2], [1])]),
        ((2, 24), (2, 2, 3, 4), [([0], [0]), ([1], [1, 2, 3])]),
        ((6, 4), (3, 8), [([0, 1], [0, 1])]),
        ((2, 1, 3), (2, 3, 1), [([0], [0]), ([1, 2], [1]), ([], [2])]),
        ((1, 2), (2,), [([0, 1], [0])]),
        ((5,), (5, 1, 1), [([0], [0]), ([], [1, 2])]),
        ((), (1,), [([], [0])]),
    ],
)
def test_shapes_factor_into_runs_of_axes(
    old: tuple[int, ...], new: tuple[int, ...], blocks: list[tuple[list[int], list[int]]]
) -> None:
    assert axis_blocks(old, new) == blocks
    assert all(np.prod([old[a] for a in mine]) == np.prod([new[a] for a in theirs]) for mine, theirs in blocks)
