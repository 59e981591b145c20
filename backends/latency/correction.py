"""From units to a network: factors by operator, a constant a node and one a run, fitted to whole-network times."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import nnls

NODE, RUN = "each node", "each run"
_MICROSECOND = 1e-6
_PRIOR = {NODE: 1.0, RUN: 20.0}  # in microseconds; factors by operator tend to one for all
_TRUST = 0.3  # noise of a run as a share of its time, over how far factors lie from their prior as a share of it


def features(times: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Sum seconds by operator, given each unit's operator and seconds; the constants count in microseconds."""
    found: dict[str, float] = {NODE: len(times) * _MICROSECOND, RUN: _MICROSECOND}
    for name, time in times:
        found[name] = found.get(name, 0.0) + time
    return found


def fitted(rows: Sequence[Mapping[str, float]], seconds: Sequence[float]) -> dict[str, float]:
    """Fit non-negative factors c of features F to measured times t, by operator.

    Minimises sum_i ((F_i c - t_i) / t_i)^2 + trust^2 sum_j (c_j / prior_j - 1)^2 over c >= 0, the priors of all
    operators being the median of t_i / F_i 1.
    """
    names = sorted({name for row in rows for name in row})
    common = float(np.median([time / corrected(row, {}) for row, time in zip(rows, seconds, strict=True)]))
    wanted = np.array([_PRIOR.get(name, common) for name in names])
    shares = np.array([[row.get(name, 0.0) for name in names] for row in rows]) * wanted
    shares /= np.array(seconds)[:, None]
    system = np.vstack([shares, _TRUST * np.eye(len(names))])
    right = np.concatenate([np.ones(len(rows)), np.full(len(names), _TRUST)])
    factors, _ = nnls(system, right)
    return {name: round(float(factor), 4) for name, factor in zip(names, factors * wanted, strict=True)}


def corrected(row: Mapping[str, float], factors: Mapping[str, float]) -> float:
    """Return a network's seconds from its features; an operator that no run had keeps its own time."""
    return sum(value * factors.get(name, _PRIOR.get(name, 1.0)) for name, value in row.items())
