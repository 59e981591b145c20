"""``pivoted-qr``: keep the channels whose contributions to the output span those of the others best."""

from collections.abc import Sequence

import numpy as np

from ...ir.graph import Array
from ..analysis.channels.readers import Reader
from .activation import activation
from .conditional import Part, compensated_curve, conditioned
from .criterion import FROM_MOMENTS, ByReaders
from .forward import Partial, forward
from .gram import contribution_gram

_JITTER = 1e-12


def pivoted_qr(readers: Sequence[Reader], form: tuple[int, int], rng: np.random.Generator) -> tuple[Array, Array]:
    """QR with column pivoting on the channels' contributions ``vec(X_i W_i)`` (Zhang et al., CHaPR, arXiv 1908.03266).

    Done as pivoted Cholesky factorisation of their Gram matrix (methods.md#gram), which gives the same pivots from the
    covariance alone. Several readers stack their contributions; inputs that always stay are projected out. The curve
    is the compensated loss (methods.md#loss). Without covariances: :func:`activation`.
    """
    parts = conditioned(readers)
    if not parts:
        return activation(readers, form, rng)
    rounds = pivots(contribution_gram(parts, form[0] * form[1]), form)
    return rounds, compensated_curve(parts, rounds)


def pivots(gram: Array, form: tuple[int, int]) -> Array:
    """Return the reverse pivot order of a positive semi-definite ``gram`` (units, units), as (width, cells) rounds.

    ``form`` is (cells, width): each round of pivots takes one unit of every cell. What is zero pivots last.
    """
    diagonal = np.diagonal(gram)
    silent = diagonal <= _JITTER * diagonal.max(initial=0.0)
    definite = gram + _JITTER * diagonal.max(initial=0.0) * np.eye(len(gram))
    whole = Part(definite, np.empty((len(gram), 0)), np.arange(len(gram)), ~silent)
    return forward([Partial(whole)], form, silent, Partial.variances)


PIVOTED_QR = ByReaders("pivoted-qr", "Zhang et al. (CHaPR), arXiv 1908.03266", FROM_MOMENTS, pivoted_qr)
