"""The fewest bits whose error at the outputs stays within a budget."""

from collections.abc import Callable, Sequence

import numpy as np

from ...ir.errors import TargetNotMetError
from .calibrate import Bits, ranges, typed
from .emulator import Emulator
from .network import Convolution, Dense, Floats, Network
from .precision import Precision
from .reference import run

FEWEST_BITS, MOST_BITS = 2, 20


def within(
    network: Network,
    samples: Floats,
    max_error: float,
    searched: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Network, Precision]:
    """Return the network on its grids and its types: the outputs' RMS error is at most ``max_error`` of their RMS.

    First the fewest bits for all weights and activations alike; then, from the layer of most weights on, as many bits
    off each layer's weights as the budget allows. Ranges come from all ``samples`` (n, H, W, C) or (n, N), errors from
    the first ``searched``, which each try emulates once.

    Raises TargetNotMetError where 20 bits do not do.
    """
    tried = samples[:searched]
    exact = run(network, tried)
    wanted = [exact[name] for name in network.outputs]
    observed = ranges(network, samples)

    def fits(weights: Bits, activations: Bits) -> bool:
        values = Emulator(*typed(network, observed, weights, activations)).run(tried)
        return relative_error([values[name] for name in network.outputs], wanted) <= max_error

    bits = _fewest(fits, max_error, progress)
    weights = {layer.name: bits for layer in network.layers}
    for name in _heaviest_first(network):
        progress(f"taking bits off the weights of '{name}'")
        while weights[name] > FEWEST_BITS and fits(weights | {name: weights[name] - 1}, bits):
            weights[name] -= 1
    return typed(network, observed, weights, bits)


def _fewest(fits: Callable[[Bits, Bits], bool], max_error: float, progress: Callable[[str], None]) -> int:
    for bits in range(FEWEST_BITS, MOST_BITS + 1):
        progress(f"trying {bits} bits")
        if fits(bits, bits):
            return bits
    raise TargetNotMetError(
        f"{MOST_BITS} bits do not reach an output error of {max_error:g}",
        hint="allow a larger error, or drop what hls4ml looks up in tables",
    )


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
