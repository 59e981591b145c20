"""Every rule of the table against finite differences."""

import pytest
from derivatives import Case
from derivatives.differences import hold
from derivatives.functions import ENTRYWISE, FUNCTIONS
from derivatives.movement import MOVEMENT
from derivatives.products import PRODUCTS
from derivatives.reductions import NORMALISATIONS, REDUCTIONS
from derivatives.windows import WINDOWS

from optimise_onnx.ir.adjoint.table import RULES

CASES = [*FUNCTIONS, *ENTRYWISE, *MOVEMENT, *PRODUCTS, *REDUCTIONS, *NORMALISATIONS, *WINDOWS]


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_the_gradient_of_an_operator_is_that_of_finite_differences(case: Case) -> None:
    hold(case)


def test_every_rule_has_a_case() -> None:
    assert {case.op for case in CASES} == RULES.keys()
