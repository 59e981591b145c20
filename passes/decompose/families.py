"""The families of forms, in one table."""

from collections.abc import Sequence

from ...ir.errors import UsageError
from ..analysis.forms import Family
from .blocks import Blocks
from .low_rank import LowRank
from .stretch import Stretch
from .strided import Strided

FAMILIES: dict[str, Family] = {family.name: family for family in (Blocks(), LowRank(), Stretch(), Strided())}
ALL = "all"


def chosen(names: Sequence[str]) -> tuple[Family, ...]:
    """Look families up; ``all`` means every one. Raises UsageError for an unknown one."""
    for name in names:
        if name not in FAMILIES and name != ALL:
            raise UsageError(f"no family of forms is called '{name}'", hint=f"one of {', '.join((*FAMILIES, ALL))}")
    return tuple(family for name, family in FAMILIES.items() if name in names or ALL in names)
