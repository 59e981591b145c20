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
from .settings import NO_WISH, NO_WISHES, Setting, Settings, Wish, Wishes, multipliers, settings_of, weighted
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
    layer: Layer, network: Network, counts: Mapping[str, int], wish: Wish = NO_WISH, style: Style = STREAMED
) -> Choices:
    """Return every setting a layer can be built with, and ``wish`` leaves; ``counts``: :func:`~.loops.packs`."""
    settings = settings_of(layer, wish, style)
    trips = {kind: loop(layer, kind, network, counts) for kind in {setting.strategy for setting in settings}}
    intervals = [trips[setting.strategy].interval(setting.reuse) for setting in settings]
    taken = [multipliers(layer, setting) for setting in settings]
    return Choices(tuple(settings), Frontier.of(np.array(intervals, np.int64), np.array(taken, np.int64)))


def all_choices(network: Network, wishes: Wishes = NO_WISHES, style: Style = STREAMED) -> dict[str, Choices]:
    """Return the choices of each layer by name that ``wishes`` leave."""
    counts = packs(network)
    return {
        layer.name: choices(layer, network, counts, wishes.get(layer.name, NO_WISH), style) for layer in network.layers
    }


def balanced(
    network: Network, budget: int | None, wishes: Wishes = NO_WISHES, style: Style = STREAMED
) -> dict[str, Setting]:
    """Return the settings with the shortest interval that at most ``budget`` multipliers reach; None is any number.

    No layer takes more of them than it needs to keep up. Raises :class:`TargetNotMetError` where the budget is too
    small for any settings that ``wishes`` leave.
    """
    found = all_choices(network, wishes, style)
    frontiers = [choice.frontier for choice in found.values()]
    if budget is None:
        return _settings(network, found, balance.least_interval(frontiers))
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
