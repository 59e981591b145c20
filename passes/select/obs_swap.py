"""``obs-swap``: elimination that takes back what it regrets, at a few widths."""

from collections.abc import Callable, Sequence

import numpy as np

from ...ir.graph import Array
from ..analysis.channels.readers import Reader
from .activation import activation
from .conditional import Part, compensated_curve, conditioned
from .criterion import FROM_MOMENTS, ByReaders
from .exchange import improved, reduced
from .obs_math import Consumer, eliminate

STOPS = 4

Choose = Callable[[Sequence[Part], Array, int], Array]
"""From parts, the cells of units, -1 for one that is gone, and a count: so many of every cell, in order of going."""


def obs_swap(readers: Sequence[Reader], form: tuple[int, int], rng: np.random.Generator) -> tuple[Array, Array]:
    """Block OBS, and a local search by swaps whenever another quarter of the channels is gone.

    A swap exchanges what went since the last stop for something that stays, so the order remains nested. The curve is
    the compensated loss (methods.md#loss). Where greedy elimination is optimal already, which is the rule, this is
    ``obs`` at a few times its cost. Without covariances: :func:`activation`.
    """
    parts = conditioned(readers)
    if not parts:
        return activation(readers, form, rng)
    rounds = in_stages(parts, form, _swapped)
    return rounds, compensated_curve(parts, rounds)


def in_stages(parts: Sequence[Part], form: tuple[int, int], choose: Choose) -> Array:
    """Let ``choose`` say what goes in each of ``STOPS`` equal stages; return (width, cells) rounds of units.

    ``form`` is (cells, width). Parts are reduced to what earlier stages have left; what the last one leaves is
    eliminated greedily.
    """
    cells, width = form
    cell_of = np.repeat(np.arange(cells), width)
    gone, order, before = np.zeros(cells * width, bool), [], 0
    for stop in np.unique(-(-np.arange(1, STOPS + 1) * width // STOPS)).tolist():
        here = [reduced(part, gone) for part in parts if not gone[part.unit].all()]
        free = np.where(gone, -1, cell_of)
        found = choose(here, free, stop - before) if stop < width else eliminated(here, cell_of, gone)
        order.append(found)
        gone[found], before = True, stop
    return np.concatenate([np.empty(0, np.int64), *order]).reshape(width, cells)


def eliminated(parts: Sequence[Part], cell_of: Array, keep: Array) -> Array:
    """Return the units, but those to ``keep`` (units,), in the order that block OBS removes them."""
    consumers = [Consumer(part.covariance, part.weight, part.unit, 1.0) for part in parts]
    return eliminate(consumers, len(keep), ridge=0.0, cells=cell_of, keep=keep).order


def _swapped(parts: Sequence[Part], cell_of: Array, count: int) -> Array:
    """Eliminate greedily, then swap what lowers the loss."""
    cells = np.where(cell_of < 0, 0, cell_of)
    found = eliminated(parts, cells, cell_of < 0)[: count * (int(cells.max(initial=0)) + 1)]
    loose = np.zeros(len(cell_of), bool)
    loose[found] = True
    better = improved(parts, loose, cell_of)
    return found if (better == loose).all() else eliminated(parts, cells, ~better)


OBS_SWAP = ByReaders("obs-swap", "after Meng et al. (OSSCAR), ICML 2024, arXiv 2403.12983", FROM_MOMENTS, obs_swap)
