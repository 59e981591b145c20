"""Time over one group's width: a staircase, of which the useful edges are kept (arrays only)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .cost_model import Floats

Ints = npt.NDArray[np.int64]

_MEASURED = 6  # multiples of the tread
_PARTS = (2, 4)  # of the tread
_GAIN = 0.01  # of the exposed time: an edge must save more than that against the next wider one


@dataclass(frozen=True)
class Stairs:
    """``rounds`` (K,) ascending, the last is all, are a group's useful widths; ``effective`` (K,), ascending too, are
    the widths at which a cost proportional to the width would be as large as the time really is.
    """

    rounds: Ints
    effective: Floats

    def level(self, rounds: float) -> float:
        """Return the effective width of any number of rounds; none count as none."""
        return float(np.interp(rounds, np.append(0, self.rounds), np.append(0.0, self.effective)))

    def nearest(self, effective: float) -> int:
        """Return the rounds of an effective width; 0 for 0."""
        if effective == 0:
            return 0
        return int(self.rounds[np.abs(self.effective - effective).argmin()])


def to_measure(width: int, tread: int, least: int) -> Ints:
    """Return widths below ``width``, ascending: up to six multiples of ``tread``, and a half and a quarter of it.

    None is below ``least``.
    """
    multiples = np.arange(tread, width, tread)
    if len(multiples) > _MEASURED:
        multiples = multiples[np.unique(np.linspace(0, len(multiples) - 1, _MEASURED).round().astype(int))]
    fine = {max(1, min(tread, width) // part) for part in _PARTS} - {width}
    found = np.unique([*fine, *multiples]).astype(np.int64)
    return found[found >= least]


def stairs(width: int, tread: int, measured: Ints, saved: Floats, exposed: float) -> Stairs:
    """Keep the useful edges.

    ``saved`` (K,): seconds saved at the ``measured`` widths (K,) against the whole ``width``; at multiples of ``tread``
    between them it is interpolated. ``exposed``: seconds saved when the whole group goes, the length of the staircase.
    """
    between = [k for k in range(tread, width, tread) if measured.size and measured[0] <= k <= measured[-1]]
    rounds = np.unique([*measured.tolist(), *between, width]).astype(np.int64)
    known = np.append(saved, 0.0)
    share = 1 - np.interp(rounds, np.append(measured, width), known) / max(exposed, 1e-12)
    kept, above = [], np.inf
    for place in range(len(rounds) - 1, -1, -1):
        if place == len(rounds) - 1 or (0 < share[place] < above - _GAIN):
            kept.append(place)
            above = share[place]
    kept.reverse()
    return Stairs(rounds[kept], share[kept] * width)
