"""Choices measured end to end: a model of time proposes widths, the device says which of them are in time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

Choice = TypeVar("Choice")

_AROUND = (0.96, 1.0, 1.04)
_ROUNDS = 4
_NEAR = 0.97  # of the limit: what comes as close is not sought any nearer


@dataclass(frozen=True)
class Candidate(Generic[Choice]):
    """A choice, the error expected of it, and its time as a share of the original's: as modelled and as measured."""

    choice: Choice
    error: float
    predicted: float
    measured: float


def search(
    limit: float,
    propose: Callable[[float], tuple[Choice, float, float] | None],
    measure: Callable[[Sequence[Choice]], Sequence[float]],
) -> Candidate[Choice] | None:
    """Return the candidate of least error whose measured share is within ``limit``; else the quickest; None for none.

    ``propose`` gives for a share of the original's time, as modelled, a choice with the share and the error expected of
    it. Three around an aim are measured together; then the aim moves by what measured and modelled shares differ, up to
    four rounds.
    """
    aim, found = limit, list[Candidate[Choice]]()
    for _ in range(_ROUNDS):
        proposed = {each[1:]: each for part in _AROUND if (each := propose(min(aim * part, 1.0))) is not None}
        fresh = [each for key, each in proposed.items() if key not in {(one.predicted, one.error) for one in found}]
        if not fresh:
            break
        shares = measure([choice for choice, _, _ in fresh])
        found += [
            Candidate(choice, error, predicted, share)
            for (choice, predicted, error), share in zip(fresh, shares, strict=True)
        ]
        if any(_NEAR * limit <= one.measured <= limit for one in found):
            break
        aim = limit / float(np.median([one.measured / one.predicted for one in found[-len(fresh) :]]))
    within = [one for one in found if one.measured <= limit]
    if within:
        return min(within, key=lambda one: (one.error, one.measured))
    return min(found, key=lambda one: one.measured, default=None)
