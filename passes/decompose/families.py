"""The families of forms, in one table."""

from collections.abc import Sequence

from ...ir.errors import UsageError
from ..analysis.layers.forms import Family
from .grouped import GroupedKernels
from .low_rank import LowRank
from .lowered import Lowered
from .stretch import Stretch
from .strided import Strided

FAMILIES: dict[str, Family] = {family.name: family for family in (GroupedKernels(), LowRank(), Stretch(), Strided())}
ON_REQUEST: dict[str, Family] = {family.name: family for family in (Lowered(),)}
"""Slower than the layer in onnxruntime on processors, so only for those who ask for them by name."""

ALL = "all"


def chosen(names: Sequence[str]) -> tuple[Family, ...]:
    """Look families up; ``all`` means all but those on request. Raises UsageError for an unknown one."""
    every = FAMILIES | ON_REQUEST
    for name in names:
        if name not in every and name != ALL:
            raise UsageError(f"no family of forms is called '{name}'", hint=f"one of {', '.join((*every, ALL))}")
    return tuple(family for name, family in every.items() if name in names or (ALL in names and name in FAMILIES))
