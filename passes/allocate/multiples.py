"""Which multiple of channels widths keep where that is left to the device: one that pays for what it overshoots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ...ir.graph import Graph
from ...ir.timing import Timer
from .problem import Widths

_SPARE = 0.02  # of what a target allows, so much may be left over
_NOISE = 0.02  # of a ratio of two measured times

Priced = tuple[float, Graph]
"""What a choice really costs, as a share of what the target allows, and the graph at its widths."""


def paying(widths: Widths, price: Callable[[Widths], Priced], timer: Timer) -> tuple[Widths, str]:
    """Choose the multiple that widths shall have, and say why that one where it was in question.

    Where few multiples fit, those of ``widths`` may take more than the target asks for, or not reach it. Then finer
    ones are tried, the coarsest that leave little over; the coarse ones stay where the device's time falls by a larger
    share than the cost does.
    """
    cost, graph = price(widths)
    finer, less, fine = widths, cost, graph
    while not 1 - _SPARE <= less <= 1 and finer.align > 1:
        finer = replace(finer, align=finer.align // 2)
        less, fine = price(finer)
    if less == cost:
        return widths, ""
    said, taken = f"multiples of {widths.align}", f"so multiples of {finer.align} were taken"
    if cost > 1:
        return finer, f"{said} do not reach the target, {taken}"
    coarse_time, fine_time = timer.times([graph, fine])
    share = coarse_time / fine_time
    said += f" cost {cost / less:.3f} of what finer ones do, and take {share:.3f} of the time"
    if share < cost / less - _NOISE:
        return widths, f"{said}, so they stay"
    return finer, f"{said}, {taken}"
