"""Importance of the units of a group from the weights alone (arrays only): the criterion that needs no data.

References: Li, Kadav, Durdanovic, Samet, Graf, "Pruning filters for efficient ConvNets", ICLR 2017 (the norm of one
layer's filters); Fang, Ma, Song, Mi, Wang, "DepGraph", CVPR 2023 (group norms over coupled layers).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...ir.errors import NumericalError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Member:
    """One weight coupled to a group: ``weight`` (d, m), and the unit each row belongs to or -1, (d,).

    For a consumer the rows are its inputs, all taps of a channel with one unit; for a producer its outputs, so a row
    is a filter; for a bias or a scale of batch normalisation m is 1.
    """

    weight: npt.NDArray[np.floating]
    block_of_row: Ints


def scores(members: Sequence[Member], units: int, *, norm: int = 2) -> Floats:
    """Sum over members of ``|W_u|_p / mean_v |W_v|_p``, (units,): higher is more important.

    ``W_u`` are the rows of unit u, ``p = norm`` is 1 or 2, and the mean runs over the units which that member has.
    Dividing by it makes every member weigh alike whatever its size and scale. A member of zeros adds nothing.

    Raises ValueError on another norm or rows that do not fit, NumericalError on NaN or Inf.
    """
    if norm not in (1, 2):
        raise ValueError(f"norm must be 1 or 2, got {norm}")
    return sum((_relative_norms(member, units, norm) for member in members), np.zeros(units))


def _relative_norms(member: Member, units: int, norm: int) -> Floats:
    owner = member.block_of_row
    if owner.shape != member.weight.shape[:1] or owner.max(initial=-1) >= units:
        raise ValueError(f"rows of {member.weight.shape} with owners {owner.shape} do not fit {units} units")
    powers = (np.abs(member.weight.astype(np.float64)) ** norm).sum(axis=1)
    if not np.isfinite(powers).all():
        raise NumericalError("NaN or Inf in a weight", hint="check the model")
    removable = owner >= 0
    totals = np.bincount(owner[removable], powers[removable], units)
    totals = np.sqrt(totals) if norm == 2 else totals
    present = np.bincount(owner[removable], minlength=units) > 0
    mean = float(totals[present].mean()) if present.any() else 0.0
    return totals / (mean or 1.0)
