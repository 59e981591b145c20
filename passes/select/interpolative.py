"""``interpolative``: keep the channels from which the other channels themselves can best be interpolated."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...ir.graph import Array
from ..analysis.channels.readers import Reader
from .activation import activation
from .conditional import Part, compensated_curve, conditioned, constant_units
from .criterion import FROM_MOMENTS, ByReaders
from .forward import Partial, forward


def interpolative(readers: Sequence[Reader], form: tuple[int, int], rng: np.random.Generator) -> tuple[Array, Array]:
    """Pivoted Cholesky of the channels' covariance: always keep the one the kept ones explain least of.

    The pivot is the trace of the covariance of a channel's taps given the kept channels, relative to the trace of the
    reader's, so the readers' weights do not count and one set of coefficients can serve them all. It is the
    interpolative reading of channel pruning as subset selection by pivoted QR (Zhang et al., CHaPR, arXiv 1908.03266);
    block form and several readers are ours. The curve is the compensated loss (methods.md#loss). Without covariances:
    :func:`activation`.
    """
    parts = conditioned(readers)
    if not parts:
        return activation(readers, form, rng)
    last = constant_units(parts, form[0] * form[1])
    rounds = forward([Partial(_unweighted(part)) for part in parts], form, last, Partial.variances)
    return rounds, compensated_curve(parts, rounds)


def _unweighted(part: Part) -> Part:
    return replace(part, covariance=part.covariance / np.trace(part.covariance), weight=part.weight[:, :0])


INTERPOLATIVE = ByReaders("interpolative", "after Zhang et al. (CHaPR), arXiv 1908.03266", FROM_MOMENTS, interpolative)
