"""Every rule of the table against finite differences."""

import pytest
from derivatives import Case
from derivatives.differences import hold
from derivatives.functions import ENTRYWISE, FUNCTIONS
from derivatives.lowered import LOWERED
from derivatives.movement import MOVEMENT
from derivatives.places import PLACES
from derivatives.products import PRODUCTS
from derivatives.recurrent import RECURRENT
from derivatives.reductions import NORMALISATIONS, REDUCTIONS
from derivatives.windows import WINDOWS

from optimise_onnx.ir.adjoint.lowering.table import LOWERINGS
from optimise_onnx.ir.adjoint.table import RULES

CASES = [
    *FUNCTIONS,
    *ENTRYWISE,
    *MOVEMENT,
    *PRODUCTS,
    *REDUCTIONS,
    *NORMALISATIONS,
    *WINDOWS,
    *PLACES,
    *RECURRENT,
    *LOWERED,
]


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_the_gradient_of_an_operator_is_that_of_finite_differences(case: Case) -> None:
    hold(case)


def test_every_rule_has_a_case() -> None:
    elsewhere = {"If", "Scan", "com.microsoft.FastGelu"}  # in test_lowering
    assert {case.qualified for case in CASES} | elsewhere == RULES.keys() | LOWERINGS.keys()
