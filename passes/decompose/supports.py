"""Least squares on a support, and the greedy choice of supports under a count (arrays only).

A layer reads ``x`` (d,) and should give ``y`` (m,); only ``cov = Cov(x)`` and ``cross = Cov(x, y)`` are needed. With
weights on the rows ``S`` alone, the same for every output (methods.md#loss)::

    W_S = inv(cov_SS) cross_S,    explained(S) = tr(cross_S^T inv(cov_SS) cross_S),

and the squared error is the variance of ``y`` less what is explained.

The supports are those of Anwar, Hwang, Sung, "Structured pruning of deep convolutional neural networks", ACM JETC
13(3) 2017 (arXiv 1512.08571), which finds them by a particle filter and retrains. The closed forms are ours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, solve_triangular

from ...ir.errors import NumericalError
from ..analysis.layers.forms import Form
from ..analysis.statistics.moments import Floats, Ints, factor

Mask = npt.NDArray[np.bool_]

ROUNDS = 8
_NOTHING = 1e-30
CHOICE_RIDGE = 1e-8  # for choosing only: what a unit adds beyond the chosen ones must stay above rounding errors


def solve_on(cov: Floats, cross: Floats, rows: Ints) -> Floats:
    """Return the best weights (d, m) that are zero outside ``rows`` (n,).

    ``cov`` (d, d) symmetric, ``cross`` (d, m). A singular ``cov_SS`` gets the least ridge that makes it definite.
    Raises NumericalError on NaN or Inf, or where no ridge helps. Cost n^3 / 3 + 2 n^2 m.
    """
    weight = np.zeros_like(cross)
    lower, _ = factor(cov[np.ix_(rows, rows)], 0.0)
    weight[rows] = cho_solve((lower, True), cross[rows], check_finite=False)
    if not np.isfinite(weight).all():
        raise NumericalError("NaN or Inf in a layer's weights", hint="check the weights and the calibration data")
    return weight


def explained_each(cov: Floats, cross: Floats, rows: Ints) -> Floats:
    """Return how much of each output's variance the best weights on ``rows`` explain, (m,); see :func:`solve_on`."""
    lower, _ = factor(cov[np.ix_(rows, rows)], 0.0)
    white = solve_triangular(lower, cross[rows], lower=True, check_finite=False)
    return np.asarray(np.einsum("nm,nm->m", white, white))


def explained(cov: Floats, cross: Floats, rows: Ints) -> float:
    """Return how much of all outputs' variance the best weights on ``rows`` explain; see :func:`solve_on`."""
    return float(explained_each(cov, cross, rows).sum())


def losses(forms: Sequence[Form], cov: Floats, cross: Floats) -> Floats:
    """Return what each form loses once fitted, (F,), relative to the best dense layer's output energy.

    ``cov`` (1, d, d) and ``cross`` (1, d, m) as for :meth:`Form.fit`. Raises NumericalError on NaN or Inf.
    """
    whole = explained(cov[0], cross[0], np.arange(len(cov[0])))
    found = [float(np.vdot(form.fit(cov, cross).matrix, cross)) for form in forms]
    return 1 - np.array(found) / max(whole, _NOTHING)


@dataclass(frozen=True)
class Choice:
    """Rows of every unit: ``common`` (u, k0) in any case, and ``first`` (u, k1) or else ``second`` (u, k2)."""

    common: Ints
    first: Ints
    second: Ints


Chooser = Callable[[Floats, Floats, Choice, int], Mask]
"""A way to :func:`choose`."""


def choose(cov: Floats, cross: Floats, choice: Choice, count: int) -> Mask:
    """Mark the ``count`` units (u,) that take ``first``, by greedy gains in what is explained (methods.md#gain).

    With ``R`` and ``G`` the covariances ``cov`` and ``cross`` given all rows chosen so far, the rows ``j`` add
    ``tr(G_j^T inv(R_jj) G_j)``. In each of ``ROUNDS`` rounds the units with the largest difference between their two
    choices take ``first``, those with the smallest ``second``, in proportion; ties go to the lower index. Raises
    NumericalError on NaN or Inf. Cost |S|^2 d + |S| d m for the support S that results.
    """
    units = len(choice.common)
    if not (np.isfinite(cov).all() and np.isfinite(cross).all()):
        raise NumericalError("NaN or Inf in a covariance", hint="check the calibration data")
    state = _State(cov, cross)
    state.take(choice.common.ravel())
    marked, free = np.zeros(units, bool), np.arange(units)
    eager = choice.second.shape[1] > 0  # an empty second choice changes nothing, so it can wait
    for left in range(ROUNDS, 0, -1):
        gains = state.gains(choice.first[free]) - state.gains(choice.second[free])
        order = free[np.argsort(-gains, kind="stable")]
        wanted = count - int(marked.sum())
        ahead = -(-wanted // left)
        behind = -(-(len(free) - wanted) // left) if eager else 0
        taken, refused = order[:ahead], order[len(order) - behind :]
        marked[taken] = True
        if left > 1:
            state.take(np.concatenate([choice.first[taken].ravel(), choice.second[refused].ravel()]))
        free = np.sort(order[ahead : len(order) - behind])
    return marked


class _State:
    """Covariances given the rows chosen so far: ``cov - V^T V`` (never formed) and ``cross - V^T Z``."""

    def __init__(self, cov: Floats, cross: Floats) -> None:
        unit = float(np.diagonal(cov).mean()) or 1.0
        self._cov = cov
        self._ridge = CHOICE_RIDGE * unit
        self._cross = cross.copy()
        self._factor = np.zeros((0, len(cov)))

    def gains(self, rows: Ints) -> Floats:
        """What the rows (u, k) of each unit would explain more, (u,)."""
        if not rows.size:
            return np.zeros(len(rows))
        step = self._factor[:, rows].transpose(1, 2, 0)
        corners = self._cov[rows[:, :, None], rows[:, None, :]] - step @ step.mT
        corners += self._ridge * np.eye(rows.shape[1])
        across = self._cross[rows]
        return np.asarray(np.einsum("ukm,ukm->u", across, np.linalg.solve(corners, across)))

    def take(self, rows: Ints) -> None:
        """Choose rows (n,)."""
        if not len(rows):
            return
        raw = self._cov[rows] - self._factor[:, rows].T @ self._factor
        corner = (raw[:, rows] + raw[:, rows].T) / 2
        lower, _ = factor(corner + self._ridge * np.eye(len(rows)), 0.0)
        new = solve_triangular(lower, raw, lower=True, check_finite=False)
        self._cross -= new.T @ solve_triangular(lower, self._cross[rows], lower=True, check_finite=False)
        self._factor = np.concatenate([self._factor, new])
