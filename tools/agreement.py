"""How closely one output follows what it was: the share of samples that keep their largest entry, and the error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.special import betaincinv  # not scipy.stats, which takes half a second to import

from ..ir.errors import VerificationError
from ..ir.graph import Array
from ..passes.analysis.outputs.parts import Part
from ..passes.analysis.outputs.reading import Reading

DOUBT = 0.05  # the interval of an agreement holds the truth in 95 of 100 cases
_LEAST_POWER = 1e-6  # of the mean: rows that are smaller are hardly used


@dataclass
class Difference:
    """``‖after − before‖ / ‖before‖`` of a tensor; where rows have scales of their own, the root of the mean square of
    theirs.
    """

    rows: int | None = None
    _missed: Array = field(default_factory=lambda: np.zeros(1), repr=False)
    _power: Array = field(default_factory=lambda: np.zeros(1), repr=False)

    def update(self, before: Array, after: Array, zero: float = 0.0) -> None:
        """Add a batch; ``zero`` is the number that stands for 0. Equal infinities differ by nothing."""
        finite = np.isfinite(before) & np.isfinite(after)
        a, b = (np.where(finite, values, zero).astype(np.float64) - zero for values in (before, after))
        rows = self.rows if self.rows is not None and 0 < self.rows < a.ndim else None
        axes = tuple(axis for axis in range(a.ndim) if axis != rows)
        self._missed = self._missed + np.sum((b - a) ** 2, axis=axes)
        self._power = self._power + np.sum(a**2, axis=axes)

    @property
    def error(self) -> float:
        """The error so far; absolute where all is zero."""
        least = _LEAST_POWER * float(self._power.mean()) or 1.0
        return float(np.sqrt((self._missed / np.maximum(self._power, least)).mean()))


@dataclass
class Agreement:
    """One output of both models.

    ``same``: the share of samples whose largest entry stays, along the axis of classes; where the output holds whole
    numbers that count or decide, the share of equal ones; None where neither says anything. ``parts``: the differences
    of the tensors that it is judged by. ``classes``: how many there are, 0 where the output holds none.
    """

    reading: Reading = field(default_factory=Reading)
    parts: dict[str, Difference] = field(default_factory=dict)
    samples: int = 0
    classes: int = 0
    _shown: set[int] = field(default_factory=set, repr=False)
    _hits: float = field(default=0.0, repr=False)
    _counted: int = field(default=0, repr=False)

    def update(self, name: str, before: Mapping[str, Array], after: Mapping[str, Array], samples: int) -> None:
        """Add a batch of ``samples``: the output called ``name``, and its parts, from both models."""
        known = [part for part in self.reading.parts if _comparable(part.tensor, before, after)]
        if not known and before[name].shape == after[name].shape and _measured(before[name]):
            known = [Part(name, name, "")]
        for part in known:
            zero = self.reading.zero if part.tensor == name else 0.0
            self.parts.setdefault(part.tensor, Difference(part.rows)).update(
                before[part.tensor], after[part.tensor], zero
            )
        hits = self._agreeing(before[name], after[name])
        self.samples += samples
        if hits is not None:
            self._hits += samples * (float(hits.mean()) if hits.size else 1.0)
            self._counted += samples

    def _agreeing(self, before: Array, after: Array) -> Array | None:
        """Say of every sample, or of every position in it, whether it agrees; None where that means nothing."""
        if before.shape != after.shape:
            return None
        if not _measured(before):
            return np.atleast_1d(before == after)
        axis = 1 if before.ndim == 2 and not self.reading.decided else self.reading.classes
        if axis is None or not 0 < axis < before.ndim or before.shape[axis] < 2:
            return None
        largest = before.argmax(axis)
        self.classes = before.shape[axis]
        self._shown.update(np.unique(largest).tolist())
        hits: Array = largest == after.argmax(axis)
        return hits

    @property
    def shown(self) -> int:
        """How many of the classes are the largest somewhere in the samples."""
        return len(self._shown)

    @property
    def error(self) -> float | None:
        """The root of the mean square of the parts' errors; None where nothing could be compared."""
        errors = [part.error for part in self.parts.values()]
        return float(np.sqrt(np.mean(np.square(errors)))) if errors else None

    @property
    def same(self) -> float | None:
        """The share of samples that agree."""
        return self._hits / self._counted if self._counted else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the share lies among all samples like these, to 95 % (Clopper, Pearson, Biometrika 1934)."""
        if not self._counted:
            return None
        hits, count = self._hits, self._counted
        low = float(betaincinv(hits, count - hits + 1, DOUBT / 2)) if hits > 0 else 0.0
        high = float(betaincinv(hits + 1, count - hits, 1 - DOUBT / 2)) if hits < count else 1.0
        return low, high


def check_finite(name: str, values: Array) -> None:
    """Raise VerificationError for NaN or +Inf; -Inf is what masks write."""
    if values.dtype.kind != "f":
        return
    for said, found in (("NaN", np.isnan(values)), ("Inf", np.isposinf(values))):
        if found.any():
            raise VerificationError(
                f"output '{name}' holds {said}",
                why=f"{int(found.sum()):,} of {found.size:,} numbers on the samples it was run on",
                hint="check the model's weights and the samples; without --data they are random numbers",
            )


def check_alike(name: str, before: Array, after: Array, decided: str) -> None:
    """Raise VerificationError where a shape, a type or a masked place changed, or a number is not finite."""
    check_finite(name, after)
    same = before.shape == after.shape or bool(decided)
    if not same or before.dtype != after.dtype:
        now, was = (f"{array.dtype.name}{list(array.shape)}" for array in (after, before))
        raise VerificationError(f"output '{name}' became {now}", why=f"it was {was}")
    if before.dtype.kind == "f" and before.shape == after.shape and (np.isneginf(before) != np.isneginf(after)).any():
        raise VerificationError(f"output '{name}' holds -Inf at other places than the original's")


def _measured(values: Array) -> bool:
    """Whether numbers measure something, so that they may differ by a little; others count or decide."""
    return values.dtype.kind == "f" or values.dtype in (np.int8, np.uint8)


def _comparable(name: str, before: Mapping[str, Array], after: Mapping[str, Array]) -> bool:
    return name in after and before[name].dtype.kind == "f" and before[name].shape == after[name].shape
