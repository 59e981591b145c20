"""The fewest bits whose error at the outputs stays within a budget."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from ...ir.errors import TargetNotMetError
from .calibrate import Range, ranges, typed
from .emulator import Emulator
from .network import Convolution, Dense, Floats, Network
from .precision import Precision
from .reference import run

FEWEST_BITS, MOST_BITS = 2, 20

Given = Mapping[str, tuple[int | None, int | None]]
"""Widths of weights and of activations that are given, by layer name; None is left open."""

NONE_GIVEN: Given = MappingProxyType({})

_OPEN = (None, None)
_ATTEMPTS = 8
_TIGHTER = 0.99
_QUANTILE = 1.64


def within(
    network: Network,
    samples: Floats,
    max_error: float,
    searched: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
    given: Given = NONE_GIVEN,
) -> tuple[Network, Precision]:
    """Return the network on its grids and its types: the outputs' RMS error is at most ``max_error`` of their RMS.

    First the fewest bits for all weights and activations alike; then, from the layer of most weights on, as many bits
    off each layer's weights as the budget allows. The first ``searched`` of ``samples`` (n, H, W, C) or (n, N), which
    each try emulates once, choose; all others judge what was chosen, by the upper end of a 95 % interval, and where it
    fails the choice is made anew under a smaller budget. Ranges come from all of them. Widths that are
    ``given`` stay as they are.

    Raises TargetNotMetError where 20 bits do not do.
    """
    observed, limit = ranges(network, samples), max_error
    tried, judges = samples[:searched], samples[searched or len(samples) :]
    for _ in range(_ATTEMPTS):
        found = _chosen(network, tried, observed, limit, progress, given)
        reached = _judged(network, found, judges) if len(judges) else 0.0
        if reached <= max_error:
            return found
        limit *= _TIGHTER * max_error / reached
    raise TargetNotMetError(
        f"an output error of {max_error:g} holds on the samples that choose, not on others",
        why=f"there it may be {reached:.3g}",
        hint="allow a larger error, or give more samples",
    )


def _chosen(
    network: Network,
    tried: Floats,
    observed: Mapping[str, Range],
    max_error: float,
    progress: Callable[[str], None],
    given: Given,
) -> tuple[Network, Precision]:
    """Return the fewest bits that keep the error on samples within a budget."""
    exact = run(network, tried)
    wanted = [exact[name] for name in network.outputs]

    def fits(weights: Mapping[str, int], activations: Mapping[str, int]) -> bool:
        values = Emulator(*typed(network, observed, weights, activations)).run(tried)
        return relative_error([values[name] for name in network.outputs], wanted) <= max_error

    bits = _fewest(lambda bits: fits(*spread(network, (bits, bits), given)), max_error, progress)
    weights, activations = spread(network, (bits, bits), given)
    for name in _heaviest_first(network, given):
        progress(f"taking bits off the weights of '{name}'")
        while weights[name] > FEWEST_BITS and fits(weights | {name: weights[name] - 1}, activations):
            weights[name] -= 1
    return typed(network, observed, weights, activations)


def spread(network: Network, bits: tuple[int, int], given: Given) -> tuple[dict[str, int], dict[str, int]]:
    """Return the widths of weights and of activations by layer name: ``bits`` but where others are ``given``."""
    weights, activations = (
        {layer.name: given.get(layer.name, _OPEN)[i] or bits[i] for layer in network.layers} for i in (0, 1)
    )
    return weights, activations


def _fewest(fits: Callable[[int], bool], max_error: float, progress: Callable[[str], None]) -> int:
    for bits in range(FEWEST_BITS, MOST_BITS + 1):
        progress(f"trying {bits} bits")
        if fits(bits):
            return bits
    raise TargetNotMetError(
        f"{MOST_BITS} bits do not reach an output error of {max_error:g}",
        hint="allow a larger error, or drop what hls4ml looks up in tables",
    )


def _judged(network: Network, chosen: tuple[Network, Precision], judges: Floats) -> float:
    """Return the upper end of a 95 % interval of the outputs' relative RMS error on samples like ``judges``."""
    exact, values = run(network, judges), Emulator(*chosen).run(judges)
    return max(_upper(values[name] - exact[name], exact[name]) for name in network.outputs)


def _upper(error: Floats, wanted: Floats) -> float:
    """Return a ratio of RMS values (n, ...) plus 1.64 standard errors, those of a ratio of sums over samples."""
    count = len(error)
    lost, power = (np.sum(np.square(each).reshape(count, -1), axis=1) for each in (error, wanted))
    share = float(lost.sum() / (power.sum() or 1.0))
    spread = float(np.std(lost - share * power) / (power.mean() or 1.0) / np.sqrt(count))
    return float(np.sqrt(share + _QUANTILE * spread))


def relative_error(values: Sequence[Floats], wanted: Sequence[Floats]) -> float:
    """Return the RMS of the difference over the RMS of what is wanted, the worst of the outputs."""
    pairs = zip(values, wanted, strict=True)
    return max(float(np.linalg.norm(value - want) / (np.linalg.norm(want) or 1.0)) for value, want in pairs)


def _heaviest_first(network: Network, given: Given) -> list[str]:
    sizes: dict[str, int] = {}
    for layer in network.layers:
        stays = given.get(layer.name, _OPEN)[0] is not None
        if isinstance(layer, Convolution | Dense) and layer.weight_grid is None and not stays:
            sizes[layer.name] = (layer.kernel if isinstance(layer, Convolution) else layer.weight).size
    return sorted(sizes, key=lambda name: -sizes[name])
