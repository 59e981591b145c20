"""The fewest bits whose error at the outputs stays within a budget."""

from collections.abc import Sequence

import numpy as np

from ...ir.errors import TargetNotMetError
from .calibrate import Bits, ranges, typed
from .emulator import Emulator
from .network import Convolution, Dense, Floats, Network
from .precision import Precision
from .reference import run

FEWEST_BITS, MOST_BITS = 2, 20


def within(network: Network, samples: Floats, max_error: float) -> tuple[Network, Precision]:
    """Return the network on its grids and its types: the outputs' RMS error is at most ``max_error`` of their RMS.

    First the fewest bits for all weights and activations alike; then, from the layer of most weights on, as many bits
    off each layer's weights as the budget allows. Each try emulates ``samples`` (n, H, W, C) or (n, N) once.

    Raises TargetNotMetError where 20 bits do not do.
    """
    exact = run(network, samples)
    wanted = [exact[name] for name in network.outputs]
    observed = ranges(network, samples)
    names = [layer.name for layer in network.layers]

    def fits(weights: Bits, activations: Bits) -> bool:
        values = Emulator(*typed(network, observed, weights, activations)).run(samples)
        return relative_error([values[name] for name in network.outputs], wanted) <= max_error

    for bits in range(FEWEST_BITS, MOST_BITS + 1):
        if fits(bits, bits):
            break
    else:
        raise TargetNotMetError(
            f"{MOST_BITS} bits do not reach an output error of {max_error:g}",
            hint="allow a larger error, or drop what hls4ml looks up in tables",
        )
    weights = dict.fromkeys(names, bits)
    for name in _heaviest_first(network):
        while weights[name] > FEWEST_BITS and fits(weights | {name: weights[name] - 1}, bits):
            weights[name] -= 1
    return typed(network, observed, weights, bits)


def relative_error(values: Sequence[Floats], wanted: Sequence[Floats]) -> float:
    """Return the RMS of the difference over the RMS of what is wanted, the worst of the outputs."""
    pairs = zip(values, wanted, strict=True)
    return max(float(np.linalg.norm(value - want) / (np.linalg.norm(want) or 1.0)) for value, want in pairs)


def _heaviest_first(network: Network) -> list[str]:
    sizes: dict[str, int] = {}
    for layer in network.layers:
        if isinstance(layer, Convolution | Dense):
            sizes[layer.name] = (layer.kernel if isinstance(layer, Convolution) else layer.weight).size
    return sorted(sizes, key=lambda name: -sizes[name])
