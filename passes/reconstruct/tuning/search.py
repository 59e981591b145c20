"""The loop: batches, slopes, steps along a schedule, and an average of the weights on the way."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from math import cos, inf, pi
from time import monotonic
from typing import Any

from ....ir.errors import UsageError
from ....ir.feeds import Feeds
from ....ir.graph import Array, Graph
from ...analysis.gradients.arrays import State
from ...analysis.gradients.optimiser import Layout, Optimiser
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
    objective: Objective,
    batches: Batches,
    optimiser: Optimiser,
    schedule: Schedule,
    progress: Callable[[float], None],
) -> Iterator[tuple[float, Mapping[str, Array]]]:
    """Go down, telling ``progress`` how much is done; yield that at every check, and the averaged weights by name."""
    begun, done, step, checked = monotonic(), 0.0, 0, 0
    weights, arrays = objective.start(), objective.arrays
    layout = Layout.of(weights)
    vector = arrays.joined([weights[name] for name in layout.shapes])
    state: State = {**optimiser.start(vector), "average": vector}
    advance = arrays.repeated(partial(advanced, objective, optimiser, layout))
    while done < 1:
        step += 1
        done = min(1.0, max((monotonic() - begun) / schedule.seconds, step / schedule.steps))
        rates = optimiser.rates(step, schedule.share(done)) | {"left": min(schedule.average, step / (_YOUNG + step))}
        state = advance(batches.draw(), state, rates)
        progress(done)
        if done * schedule.checks >= checked + 1 or done == 1:
            checked += 1
            averaged = objective.whole(layout.parts(state["average"]))
            yield done, {name: arrays.read(value) for name, value in averaged.items()}


def advanced(
    objective: Objective, optimiser: Optimiser, layout: Layout, feeds: Feeds, state: State, rates: Mapping[str, Any]
) -> State:
    """Return the state after one step; ``left``: the share of the average that stays. Weights without a slope stay."""
    weights, arrays = layout.parts(state["weights"]), objective.arrays
    _, slopes = objective.slopes(feeds, weights)
    slope = arrays.joined([slopes[name] if name in slopes else value * 0 for name, value in weights.items()])
    moved = optimiser.moved(state, slope, rates, layout, arrays)
    left = rates["left"]
    return {**moved, "average": left * state["average"] + (1 - left) * moved["weights"]}


def written(graph: Graph, weights: Mapping[str, Array]) -> Graph:
    """Return a copy of a graph with other weights."""
    copy = graph.copy()
    tensors = copy.tensors()
    for name, value in weights.items():
        copy.set_array(tensors[name], value)
    return copy
