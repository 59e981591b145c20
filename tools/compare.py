"""Whether two models compute the same: every output on the same inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..ir.errors import VerificationError
from ..ir.graph import Array
from ..ir.runner import Session
from .agreement import check_finite
from .evaluation import Samples


@dataclass(frozen=True)
class Difference:
    """One output: largest absolute difference, largest relative to |a|, and whether all lie within the limits."""

    absolute: float = 0.0
    relative: float = 0.0
    within: bool = True

    def joined(self, other: Difference) -> Difference:
        """Take the worse of both."""
        worst = max(self.absolute, other.absolute), max(self.relative, other.relative)
        return Difference(*worst, self.within and other.within)


def differences(a: Session, b: Session, samples: Samples, atol: float, rtol: float) -> dict[str, Difference]:
    """Compare every output on all batches; within means ``|b − a| <= atol + rtol |a|``.

    Raises VerificationError when the shapes of an output differ, and for NaN or +Inf in one.
    """
    found: dict[str, Difference] = {}
    for batch in samples.batches():
        wanted, got = a.run(batch), b.run(batch)
        for name, values in wanted.items():
            for each in (values, got[name]):
                check_finite(name, each)
            if values.shape != got[name].shape:
                raise VerificationError(f"output '{name}' has shapes {list(values.shape)} and {list(got[name].shape)}")
            found[name] = found.get(name, Difference()).joined(difference(values, got[name], atol, rtol))
    return found


def difference(a: Array, b: Array, atol: float, rtol: float) -> Difference:
    """Compare two arrays of one shape. Equal infinities and NaN at the same places count as equal."""
    wide, other = a.astype(np.float64), b.astype(np.float64)
    same = (wide == other) | (np.isnan(wide) & np.isnan(other))
    with np.errstate(invalid="ignore"):
        gap = np.where(same, 0.0, np.abs(other - wide))
    gap = np.where(np.isnan(gap), np.inf, gap)
    size = np.where(np.isfinite(wide), np.abs(wide), 0.0)
    share = np.divide(gap, size, out=np.where(gap > 0, np.inf, 0.0), where=size > 0)
    within = bool((gap <= atol + rtol * size).all())
    return Difference(float(gap.max(initial=0.0)), float(share.max(initial=0.0)), within)
