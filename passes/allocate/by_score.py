"""``allocation=greedy``: the unit with the least score for what it takes goes first, network-wide, again and again.

After Liu, Zhang, Kuang et al., "Group Fisher pruning for practical network compression", ICML 2021, arXiv 2108.00708,
which divides by activations, trains between removals, and estimates all scores anew after each. Here scores are those
of the ranking, and ``meet-target{step=...}`` estimates them anew.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ...ir.errors import UsageError
from ...ir.graph import Array
from ..analysis.costs.meters import Counted, Meter
from ..analysis.costs.products import Count, Product
from ..analysis.costs.quantities import quantities
from ..analysis.costs.steps import Steps
from ..base import Context
from .cost_model import CostModel, Term
from .curves import scored
from .latency_model import LatencyModel
from .problem import Ints, Problem

NONE = "none"


def by_score(task: Problem, price: CostModel) -> Ints | None:
    """Return the widths of every group, (G,), that the task's ranking and budget lead to, or None."""
    return task.meet(partial(cheapest_first, task.levels(), scored(task), price, task.modelled))


def cheapest_first(
    levels: Sequence[Ints],
    curves: Sequence[Array],
    price: CostModel,
    cost: Callable[[Ints], float],
    budget: float,
) -> Ints | None:
    """Lower one group at a time to its next level until ``cost`` is within the budget; None when it never is.

    ``levels[g]``: allowed widths, descending from the whole; ``curves[g]`` (whole + 1,): score of the rounds that go
    first, added up. The group whose next rounds score least for each unit of ``price`` that they save at the widths so
    far is next, of equal ones the first; what saves nothing goes last. Time linear in the levels, each (G, G).
    """
    place, last = np.zeros(len(levels), np.int64), np.array([len(level) - 1 for level in levels], np.int64)
    table, rows = _padded(levels).astype(np.int64), np.arange(len(levels))
    errors = _padded([curve[len(curve) - 1 - level] for level, curve in zip(levels, curves, strict=True)])
    while cost(kept := table[rows, place]) > budget:
        if (place == last).all():
            return None
        after = np.minimum(place + 1, last)
        lower, lost = table[rows, after], errors[rows, after] - errors[rows, place]
        slope, bend = price.slopes(kept.astype(np.float64))
        saved = (slope + bend * (kept + lower)) * (kept - lower)
        rate = np.divide(lost, saved, out=np.full(len(levels), np.finfo(np.float64).max), where=saved > 0)
        place[np.where(place == last, np.inf, rate).argmin()] += 1
    return kept


def priced(name: str, task: Problem, context: Context) -> CostModel:
    """Write what scores are divided by over the widths of the task's groups: a quantity that is a sum over layers, one
    that a device measures, where each layer's share is its own, or nothing.

    Raises UsageError for another name.
    """
    groups = len(task.groups)
    if name == NONE:
        one = Count(1.0, np.zeros(groups))
        return _model([Product(1.0, Count(0.0, unit), one) for unit in np.eye(groups)], groups)
    quantity = quantities().find(name, NONE)
    meter: Meter = quantity if isinstance(quantity, Counted) else _clock(name, task, context).meter
    products = meter.products(task.graph, task.ranking.channels)
    if isinstance(products, Steps):
        raise UsageError(f"{name} is no sum over layers, so no score can be divided by it", hint="say per=activations")
    return _model(products, groups)


def _clock(name: str, task: Problem, context: Context) -> LatencyModel:
    device = context.device(name)
    return LatencyModel(task.graph, task.ranking, task.runner, device, device.multiple(), context.progress)


def _model(products: Sequence[Product], variables: int) -> CostModel:
    return CostModel.of([Term.of(product, {}) for product in products], variables)


def _padded(parts: Sequence[Array]) -> Array:
    found = np.zeros((len(parts), max(map(len, parts), default=0)))
    for row, part in zip(found, parts, strict=True):
        row[: len(part)] = part
    return found
