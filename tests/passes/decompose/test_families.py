"""The table of families."""

import pytest

from optimise_onnx.ir.errors import UsageError
from optimise_onnx.passes.decompose.families import chosen


def test_families_are_looked_up_and_slow_ones_only_by_name() -> None:
    assert [family.name for family in chosen(["all"])] == ["grouped", "low-rank", "stretch", "strided"]
    assert [family.name for family in chosen(["stretch", "lowered"])] == ["stretch", "lowered"]
    with pytest.raises(UsageError, match="no family"):
        chosen(["wider"])
