"""``zero-or-similar``: channels go that their mean or a copy of one other channel can stand in for."""

from collections.abc import Sequence

import numpy as np

from ...ir.graph import Array
from ..analysis.channels.readers import Reader
from ..analysis.statistics.substitutes import substitution_costs
from .activation import activation
from .conditional import scales
from .criterion import FROM_MOMENTS, ByReaders


def zero_or_similar(readers: Sequence[Reader], form: tuple[int, int], rng: np.random.Generator) -> tuple[Array, Array]:
    """The cheaper of two ways to go, per channel: into the bias, or into the best partner that is still there.

    After the zero-out and similar criteria of Huang et al. (AFCP, IEEE TCAD 2022), in closed form
    (methods.md#stand-ins). Backward greedy: a channel's cost includes what those that were copied from it lose. The
    curve adds up the costs channel by channel. Without covariances: :func:`activation`.
    """
    if not scales(readers):
        return activation(readers, form, rng)
    return partner_rounds(*substitution_costs(readers, form[0] * form[1]), form)


def partner_rounds(means: Array, copies: Array, form: tuple[int, int]) -> tuple[Array, Array]:
    """Remove, again and again, the unit that raises the total cost least; return (width, cells) rounds and the curve.

    ``means`` (n,) cost of each unit replaced by its mean, ``copies`` (n, n) of unit i replaced by a copy of unit j, if
    that one stays; ``form`` is (cells, width), each round takes one unit of every cell. The total is what all removed
    units cost at their best. Cost n^3. Ties go to the higher number, so that low indices stay.
    """
    cells, width = form
    cell_of = np.repeat(np.arange(cells), width)
    options = np.column_stack([copies, means])
    stays, order, curve = np.ones(len(means), bool), [], [0.0]
    for _ in range(width):
        waiting = stays.copy()
        while waiting.any():
            total = np.where(waiting, _totals(options, stays), np.inf)
            best = len(total) - 1 - int(np.argmin(total[::-1]))
            order.append(best)
            stays[best] = False
            options[:, best] = np.inf
            waiting &= stays & (cell_of != cell_of[best])
        curve.append(float(total[best]))
    return np.array(order, np.int64).reshape(width, cells), np.maximum.accumulate(curve)


def _totals(options: Array, stays: Array) -> Array:
    """Return the total cost if each unit went next, (n,)."""
    units = np.arange(len(stays))
    best = options.argmin(1)
    cheapest = options[units, best]
    without = np.partition(options, 1, axis=1)[:, 1]
    gone = ~stays
    lost = np.bincount(best[gone], (without - cheapest)[gone], len(stays) + 1)[:-1]
    return np.asarray(cheapest[gone].sum() + cheapest + lost)


ZERO_OR_SIMILAR = ByReaders(
    "zero-or-similar", "after Huang et al. (AFCP), IEEE TCAD 2022", FROM_MOMENTS, zero_or_similar
)
