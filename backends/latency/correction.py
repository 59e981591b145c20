"""From units to a network: factors by operator, a constant a node and one a run, fitted to whole-network times."""

from collections.abc import Mapping, Sequence

import numpy as np

NODE, RUN = "each node", "each run"
_MICROSECOND = 1e-6
_CONSTANTS = {NODE: -2.0, RUN: 10.0}  # microseconds: the profiler adds to every kernel, a session to every run
_SPREAD = {NODE: 10.0, RUN: 50.0}  # how far constants may lie from there; factors lie as far as they are large
_TRUST = 0.15  # noise of a run as a share of its time, over how far factors lie from their prior as a share of it


def features(times: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Sum seconds by operator, given each unit's operator and seconds; the constants count in microseconds."""
    found: dict[str, float] = {NODE: len(times) * _MICROSECOND, RUN: _MICROSECOND}
    for name, time in times:
        found[name] = found.get(name, 0.0) + time
    return found


def fitted(rows: Sequence[Mapping[str, float]], seconds: Sequence[float]) -> dict[str, float]:
    """Fit factors c of features F to measured times t, by operator.

    Minimises sum_i ((F_i c - t_i) / t_i)^2 + trust^2 sum_j ((c_j - prior_j) / spread_j)^2, factors of operators not
    below 0; their common prior and spread is the median of t_i / F_i 1.
    """
    from scipy.optimize import lsq_linear  # takes a quarter of a second

    names = sorted({name for row in rows for name in row})
    common = float(np.median([time / corrected(row, {}) for row, time in zip(rows, seconds, strict=True)]))
    prior = np.array([_CONSTANTS.get(name, common) for name in names])
    spread = np.array([_SPREAD.get(name, common) for name in names])
    shares = np.array([[row.get(name, 0.0) for name in names] for row in rows]) / np.array(seconds)[:, None]
    system = np.vstack([shares * spread, _TRUST * np.eye(len(names))])
    right = np.concatenate([1 - shares @ prior, np.zeros(len(names))])
    least = [-np.inf if name in _CONSTANTS else -1.0 for name in names]
    factors = prior + spread * lsq_linear(system, right, (least, np.inf)).x
    return {name: round(float(factor), 4) for name, factor in zip(names, factors, strict=True)}


def corrected(row: Mapping[str, float], factors: Mapping[str, float]) -> float:
    """Return a network's seconds from its features; an operator that no run had keeps its own time."""
    constants = _CONSTANTS | dict(factors)
    found = sum(value * constants.get(name, 1.0) for name, value in row.items())
    return max(found, _MICROSECOND)
