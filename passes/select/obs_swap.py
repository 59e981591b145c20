"""``obs-swap``: elimination that takes back what it regrets, at a few widths."""

from collections.abc import Sequence

import numpy as np

from ...ir.graph import Array
from ..analysis.channels.readers import Reader
from .activation import activation
from .conditional import Part, compensated_curve, conditioned
from .criterion import FROM_MOMENTS, ByReaders
from .exchange import improved, reduced
from .obs_math import Consumer, eliminate

STOPS = 4


def obs_swap(readers: Sequence[Reader], form: tuple[int, int], rng: np.random.Generator) -> tuple[Array, Array]:
    """Block OBS, and a local search by swaps whenever another quarter of the channels is gone.

    A swap exchanges what went since the last stop for something that stays, so the order remains nested. The curve is
    the compensated loss (methods.md#loss). Where greedy elimination is optimal already, which is the rule, this is
    ``obs`` at a few times its cost. Without covariances: :func:`activation`.
    """
    parts = conditioned(readers)
    if not parts:
        return activation(readers, form, rng)
    rounds = in_stages(parts, form)
    return rounds, compensated_curve(parts, rounds)


def in_stages(parts: Sequence[Part], form: tuple[int, int]) -> Array:
    """Eliminate with swaps after each of ``STOPS`` equal stages; return (width, cells) rounds of units.

    ``form`` is (cells, width).
    """
    cells, width = form
    cell_of = np.repeat(np.arange(cells), width)
    gone, order = np.zeros(cells * width, bool), []
    for stop in np.unique(-(-np.arange(1, STOPS + 1) * width // STOPS)).tolist():
        here = [reduced(part, gone) for part in parts if not gone[part.unit].all()]
        count = stop * cells - len(gone[gone])
        found = _eliminated(here, cell_of, gone)[:count]
        loose = np.zeros(len(gone), bool)
        loose[found] = True
        if stop < width:
            better = improved(here, loose, np.where(gone, -1, cell_of))
            found = found if (better == loose).all() else _eliminated(here, cell_of, ~better)
            loose = better
        order.append(found)
        gone |= loose
    return np.concatenate([np.empty(0, np.int64), *order]).reshape(width, cells)


def _eliminated(parts: Sequence[Part], cell_of: Array, keep: Array) -> Array:
    consumers = [Consumer(part.covariance, part.weight, part.unit, 1.0) for part in parts]
    return eliminate(consumers, len(keep), ridge=0.0, cells=cell_of, keep=keep).order


OBS_SWAP = ByReaders("obs-swap", "after Meng et al. (OSSCAR), ICML 2024, arXiv 2403.12983", FROM_MOMENTS, obs_swap)
