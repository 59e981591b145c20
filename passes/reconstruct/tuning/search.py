"""The loop: batches, slopes, steps along a schedule, and an average of the weights on the way."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import cos, inf, pi
from time import monotonic

from ....ir.errors import UsageError
from ....ir.graph import Array, Graph
from ...analysis.gradients.optimiser import Optimiser
from ...analysis.gradients.task import Objective
from .batches import Batches

_WARM_UP = 0.05
_YOUNG = 10.0
_BUDGET = re.compile(r"(?P<amount>\d{1,9}(?:\.\d+)?)\s*(?P<unit>steps|s|min|h)?")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def budget(text: str) -> tuple[float, float]:
    """Read 640steps, or a time such as 5min: return how many steps and how many seconds, one of them infinite.

    Raises UsageError.
    """
    match = _BUDGET.fullmatch(text.strip())
    if match is None or not float(match["amount"]):
        raise UsageError(f"'{text}' is no budget", hint="write 640steps, 90s, 5min or 1h")
    amount, unit = float(match["amount"]), match["unit"] or "steps"
    return (amount, inf) if unit == "steps" else (inf, amount * _SECONDS[unit])


@dataclass(frozen=True)
class Schedule:
    """Until ``steps`` are taken or ``seconds`` gone, whichever comes first; ``checks`` candidates on the way.

    Rates rise, then fall along a cosine. ``average``: the share of the average that a step leaves.
    """

    steps: float
    seconds: float
    checks: int
    average: float

    def share(self, done: float) -> float:
        """Return the share of the full rate, ``done`` from 0 to 1."""
        if done < _WARM_UP:
            return done / _WARM_UP
        return 0.5 + 0.5 * cos(pi * (done - _WARM_UP) / (1 - _WARM_UP))


def search(
    objective: Objective, batches: Batches, optimiser: Optimiser, schedule: Schedule
) -> Iterator[tuple[float, Mapping[str, Array]]]:
    """Go down, and yield at every check how much is done, and the averaged weights by name."""
    weights, begun, done, step, checked = objective.start(), monotonic(), 0.0, 0, 0
    average = dict(weights)
    while done < 1:
        step += 1
        done = min(1.0, max((monotonic() - begun) / schedule.seconds, step / schedule.steps))
        _, slopes = objective.slopes(batches.draw(), weights)
        optimiser.step(weights, slopes, schedule.share(done))
        left = min(schedule.average, step / (_YOUNG + step))
        average = {name: left * average[name] + (1 - left) * value for name, value in weights.items()}
        if done * schedule.checks >= checked + 1 or done == 1:
            checked += 1
            yield done, {name: objective.array(value) for name, value in objective.whole(average).items()}


def written(graph: Graph, weights: Mapping[str, Array]) -> Graph:
    """Return a copy of a graph with other weights."""
    copy = graph.copy()
    tensors = copy.tensors()
    for name, value in weights.items():
        copy.set_array(tensors[name], value)
    return copy
