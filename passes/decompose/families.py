"""The families of forms, in one table."""

from collections.abc import Sequence

from ...ir.registry import Registry
from ..analysis.layers.forms import Family
from .grouped import GroupedKernels
from .low_rank import LowRank
from .lowered import Lowered
from .stretch import Stretch
from .strided import Strided

FAMILIES: dict[str, Family] = {family.name: family for family in (GroupedKernels(), LowRank(), Stretch(), Strided())}
_SEARCHED = (GroupedKernels(name="grouped-particle", searched=True), Strided("strided-particle", searched=True))
ON_REQUEST: dict[str, Family] = {family.name: family for family in (Lowered(), *_SEARCHED)}
"""Only for those who ask for them by name: slower than the layer in onnxruntime on processors, or slower to choose."""

ALL = "all"
_GROUP = "optimise_onnx.forms"


def chosen(names: Sequence[str]) -> tuple[Family, ...]:
    """Look families up; ``all`` means all but those on request: of ours, and what other packages offer.

    Raises UsageError for an unknown one.
    """
    every: Registry[Family] = Registry("family of forms", _GROUP, FAMILIES | ON_REQUEST, kind=Family)
    for name in names:
        if name != ALL:
            every.find(name, ALL)
    return tuple(every[name] for name in every if name in names or (ALL in names and name in FAMILIES))
