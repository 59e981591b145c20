"""Settings of a whole network: balanced under a budget of multipliers, or the cheapest at an interval."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ....ir.errors import TargetNotMetError
from ..network import Layer, Network
from ..style import STREAMED, Style
from . import balance
from .balance import Frontier
from .loops import interval, loop, packs
from .settings import Setting, Settings, Strategy, multipliers, possible, strategies, valid_reuse_factors, weighted
from .timeline import latency


@dataclass(frozen=True)
class Speed:
    """Cycles from one sample to the next, and from a sample to its result."""

    interval: int
    latency: int


@dataclass(frozen=True, eq=False)
class Choices:
    """A layer's settings and the frontier of what they cost."""

    settings: tuple[Setting, ...]
    frontier: Frontier


def choices(
    layer: Layer, network: Network, counts: Mapping[str, int], only: Strategy | None = None, style: Style = STREAMED
) -> Choices:
    """Return every setting a layer can be built with; ``counts``: :func:`~.loops.packs` of the network.

    ``only``: that strategy, where the layer has a choice.
    """
    settings: list[Setting] = []
    intervals: list[int] = []
    for strategy in (only,) if only in possible(layer, style) else strategies(layer, style):
        trips = loop(layer, strategy, network, counts)
        for reuse in valid_reuse_factors(layer, strategy, style).tolist():
            settings.append(Setting(reuse, strategy))
            intervals.append(trips.interval(reuse))
    taken = [multipliers(layer, setting) for setting in settings]
    return Choices(tuple(settings), Frontier.of(np.array(intervals, np.int64), np.array(taken, np.int64)))


def all_choices(network: Network, only: Strategy | None = None, style: Style = STREAMED) -> dict[str, Choices]:
    """Return the choices of each layer by name, all or ``only`` those of one strategy."""
    counts = packs(network)
    return {layer.name: choices(layer, network, counts, only, style) for layer in network.layers}


def balanced(
    network: Network, budget: int, only: Strategy | None = None, style: Style = STREAMED
) -> dict[str, Setting]:
    """Return the settings with the shortest interval that at most ``budget`` multipliers reach.

    No layer takes more of them than it needs to keep up. ``only``: by one strategy, where layers have a choice. Raises
    :class:`TargetNotMetError` where the budget is too small for any settings.
    """
    found = all_choices(network, only, style)
    frontiers = [choice.frontier for choice in found.values()]
    least = balance.least_multipliers(frontiers)
    if least > budget:
        raise TargetNotMetError(f"{budget} multipliers are too few", why=f"the design needs at least {least}")
    return _settings(network, found, balance.shortest(frontiers, budget))


def cheapest(network: Network, limit: int, style: Style = STREAMED) -> dict[str, Setting]:
    """Return the settings with the fewest multipliers at which no layer takes more than ``limit`` cycles.

    Raises :class:`TargetNotMetError` where a layer takes longer with any number of multipliers.
    """
    found = all_choices(network, style=style)
    least = balance.least_interval([choice.frontier for choice in found.values()])
    if least > limit:
        raise TargetNotMetError(f"no design has an interval of {limit} cycles", why=f"the least is {least}")
    return _settings(network, found, limit)


def _settings(network: Network, found: Mapping[str, Choices], limit: int) -> dict[str, Setting]:
    picked = {}
    for layer in network.layers:
        choice = found[layer.name]
        if weighted(layer):
            picked[layer.name] = choice.settings[choice.frontier.choices[choice.frontier.within(limit)]]
    return picked


def speed(network: Network, settings: Settings) -> Speed:
    """Return the interval and latency of a network at its settings; a layer without one is fully unrolled."""
    counts = packs(network)
    slowest = max(interval(layer, settings.get(layer.name, Setting()), network, counts) for layer in network.layers)
    return Speed(slowest, latency(network, settings))


def latency_cycles(network: Network, budget: int) -> Speed:
    """Return the interval and latency at a budget of multipliers; raises as :func:`balanced` does."""
    return speed(network, balanced(network, budget))


def total_multipliers(network: Network, settings: Settings) -> int:
    """Sum the multipliers of a network at its settings; a layer without one is fully unrolled."""
    return sum(multipliers(layer, settings.get(layer.name, Setting())) for layer in network.layers)


def least_multipliers(network: Network, limit: int) -> int:
    """Return the fewest multipliers at an interval of ``limit`` cycles; raises as :func:`cheapest` does."""
    return total_multipliers(network, cheapest(network, limit))
