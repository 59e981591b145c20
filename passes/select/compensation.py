"""``compensation``: choose the channels from which the others can best be made up for, one after the other."""

from collections.abc import Sequence

import numpy as np

from ...ir.graph import Array
from ..analysis.channels.readers import Reader
from .activation import activation
from .conditional import compensated_curve, conditioned, constant_units
from .criterion import FROM_MOMENTS, ByReaders
from .forward import Partial, forward


def compensation(readers: Sequence[Reader], form: tuple[int, int], rng: np.random.Generator) -> tuple[Array, Array]:
    """Greedy forward selection by the compensated error, in reverse (Xie et al., CaP, arXiv 2108.13728).

    Each step takes the channel that lowers the readers' error most when all taken channels are refitted
    (methods.md#gain); constant channels go first. The curve is the compensated loss of each kept set (methods.md#loss).
    Ours: several readers, inputs that always stay, equal counts per cell. Without covariances: :func:`activation`.
    """
    parts = conditioned(readers)
    if not parts:
        return activation(readers, form, rng)
    last = constant_units(parts, form[0] * form[1])
    rounds = forward([Partial(part) for part in parts], form, last, Partial.gains)
    return rounds, compensated_curve(parts, rounds)


COMPENSATION = ByReaders(
    "compensation", 'Xie et al., "Pruning with compensation" (CaP), arXiv 2108.13728', FROM_MOMENTS, compensation
)
