"""Which fixed-point types the layers of a network have."""

from collections.abc import Mapping
from dataclasses import dataclass

from .fixed import Fixed


@dataclass(frozen=True)
class Types:
    """One layer's: ``result`` of what it gives; ``weight`` and ``bias`` (of an affine layer, scale and shift) are on
    these grids already; ``accumulator``, wide enough for every sum, holds the sums before they become the result.

    Of a curve, ``weight`` is the type of its slope, or of its table's entries, and then ``bias`` of its slope. The
    quotient that makes a mean is cut to ``accumulator`` first.
    """

    result: Fixed
    weight: Fixed | None = None
    bias: Fixed | None = None
    accumulator: Fixed | None = None


Precision = Mapping[str, Types]
"""Types by layer name."""
