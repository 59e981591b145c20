"""Golden cases: the literal labels every rule of the channel analysis must give."""

from . import computation, elementwise, movement, normalisation
from .case import Case

__all__ = ["CASES", "Case"]

CASES = [*computation.CASES, *elementwise.CASES, *movement.CASES, *normalisation.CASES]
