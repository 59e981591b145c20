"""Choices measured end to end: a model of time proposes widths, the device says which of them are in time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

Choice = TypeVar("Choice")

_AROUND = (0.96, 1.0, 1.04)
_ROUNDS = 5
_INSIDE = (0.1, 0.9)
_LOWER = 0.75  # of an aim that led to nothing new
_NEAR = 0.97  # of the limit: what comes as close is not sought any nearer


@dataclass(frozen=True)
class Candidate(Generic[Choice]):
    """A choice, the error expected of it, and its time as a share of the original's: as predicted and as measured.

    ``aim`` is the share that the model was asked for.
    """

    choice: Choice
    error: float
    aim: float
    predicted: float
    measured: float


def search(
    limit: float,
    propose: Callable[[float], tuple[Choice, float, float]],
    measure: Callable[[Sequence[Choice]], Sequence[float]],
) -> Candidate[Choice]:
    """Return the candidate of least error whose measured share is within ``limit``, else the quickest.

    ``propose`` gives for a share of the original's time by the model a choice, its share as predicted, and the error
    expected of it. Three around an aim are measured together, then three around a better aim, up to five rounds. What
    is taken is measured once more.
    """
    aim, found = limit, list[Candidate[Choice]]()
    for _ in range(_ROUNDS):
        fresh = _fresh([min(aim * part, 1.0) for part in _AROUND], propose, found)
        shares = measure([one.choice for one in fresh]) if fresh else []
        found += [replace(one, measured=share) for one, share in zip(fresh, shares, strict=True)]
        within = [one for one in found if one.measured <= limit]
        if any(one.measured >= _NEAR * limit for one in within) or (within and not fresh):
            break
        aim = _next_aim(limit, found) if fresh else _LOWER * aim
    return _confirmed(limit, found, measure)


def _confirmed(
    limit: float, found: Sequence[Candidate[Choice]], measure: Callable[[Sequence[Choice]], Sequence[float]]
) -> Candidate[Choice]:
    """Measure the best once more, since the best of many by a noisy measure was often only measured well."""
    left = sorted((one for one in found if one.measured <= limit), key=lambda one: (one.error, one.measured))
    seen = [one for one in found if one.measured > limit]
    for one in left:
        (again,) = measure([one.choice])
        seen.append(replace(one, measured=again))
        if again <= limit / _NEAR:
            return one
    return min(seen, key=lambda one: one.measured)


def _next_aim(limit: float, found: Sequence[Candidate[Choice]]) -> float:
    """Interpolate between the largest aim that was within the limit and the next one beyond it, in logarithms.

    Where all are on one side, the nearest aim moves by what its measured share is off the limit.
    """
    below = max((one for one in found if one.measured <= limit), key=lambda one: one.aim, default=None)
    beyond = [one for one in found if one.measured > limit and (below is None or one.aim > below.aim)]
    above = min(beyond, key=lambda one: one.aim, default=None)
    if below is None or above is None:
        nearest = above or below or found[0]
        return nearest.aim * limit / nearest.measured
    way = np.log(limit / below.measured) / np.log(above.measured / below.measured)
    return float(below.aim * (above.aim / below.aim) ** np.clip(way, *_INSIDE))


def _fresh(
    aims: Sequence[float],
    propose: Callable[[float], tuple[Choice, float, float]],
    known: Sequence[Candidate[Choice]],
) -> list[Candidate[Choice]]:
    """Return what is proposed for each aim and has not been measured yet."""
    seen = {(one.predicted, one.error) for one in known}
    fresh = []
    for aim in aims:
        choice, predicted, error = propose(aim)
        if (predicted, error) not in seen:
            seen.add((predicted, error))
            fresh.append(Candidate(choice, error, aim, predicted, np.inf))
    return fresh
