"""Pruning and bits as one choice: a model and the one it was made from, each typed within three error budgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import prod
from typing import Any

import numpy as np

from ...backends.hls.cost.settings import weights
from ...backends.hls.emulator import Emulator
from ...backends.hls.network import Network
from ...backends.hls.precision import Precision
from ...ir.errors import TargetNotMetError
from ..compression import Progress
from .checks import Run, measure
from .models import Lowered, typed
from .samples import Samples
from .settings import Settings

SHARES = (0.5, 1.0, 2.0)
"""The budgets, as shares of the error that is allowed."""


@dataclass(frozen=True)
class Point:
    """``model``, typed within ``max_error`` of its own floating point. ``multiplier_bits``: see below.

    ``error`` (relative RMS) and ``same_class`` (None where no output is a row of scores): of the emulator, against the
    model of before in floating point. ``best``: no other point has fewer multiplier bits and is as near to that.
    """

    model: str
    max_error: float
    weight_bits: float
    multiplier_bits: int
    error: float
    same_class: float | None
    best: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def front(
    before: Lowered, after: Lowered, samples: Samples, settings: Settings, run: Run, progress: Progress
) -> tuple[Point, ...]:
    """Return the points of both models, that of before first; a budget that cannot be met has none.

    ``run`` gives the results of ``before``.
    """
    found: list[Point] = []
    for model in (before, after):
        for share in SHARES:
            asked = replace(settings, bits=None, max_error=share * settings.max_error)
            try:
                one = typed(model, samples, asked, progress)
            except TargetNotMetError:
                continue
            emulator = Emulator(one.network, one.precision)
            measured = measure(before.graph, emulator, one.network, samples, run, None, lambda _: None)
            classes = [each.same_class for each in measured.outputs.values() if each.same_class is not None]
            found.append(
                Point(
                    model.name,
                    asked.max_error,
                    weight_bits(one.network, one.precision),
                    multiplier_bits(one.network, one.precision),
                    max(each.relative_error for each in measured.outputs.values()),
                    min(classes) if classes else None,
                )
            )
    return marked(found)


def marked(points: Sequence[Point]) -> tuple[Point, ...]:
    """Mark the points that no other beats: by the share of the same class, or else by the error."""

    costs = [(one.multiplier_bits, one.error if one.same_class is None else 1 - one.same_class) for one in points]

    def beaten(cost: tuple[float, float]) -> bool:
        return any(other != cost and other[0] <= cost[0] and other[1] <= cost[1] for other in costs)

    return tuple(replace(point, best=not beaten(cost)) for point, cost in zip(points, costs, strict=True))


def multiplier_bits(network: Network, precision: Precision) -> int:
    """Sum over all weights that are not 0 the bits of the weight times those of what it multiplies.

    So large are the multipliers of a fully unrolled design, whose interval is the same whatever the channels.
    """
    return sum(
        int(np.count_nonzero(weights(layer))) * grid.width * precision[layer.inputs[0]].result.width
        for layer in network.layers
        if weights(layer).size and (grid := precision[layer.name].weight) is not None
    )


def weight_bits(network: Network, precision: Precision) -> float:
    """Return the mean bits of a weight."""
    sizes = {layer.name: prod(weights(layer).shape) for layer in network.layers if weights(layer).size}
    widths = {name: grid.width for name in sizes if (grid := precision[name].weight) is not None}
    return sum(widths[name] * sizes[name] for name in widths) / sum(sizes[name] for name in widths)
