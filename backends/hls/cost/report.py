"""What each layer costs at its setting, and the network as a whole."""

from dataclasses import dataclass

import numpy as np

from ..network import Network
from ..precision import Precision
from .loops import interval, packs
from .memory import Stream, line_buffer_bits, streams, weight_bits
from .settings import Setting, Settings, multipliers, weights
from .timeline import latency


@dataclass(frozen=True)
class LayerCost:
    """One layer's cost. ``interval``: cycles from one sample to the next. ``streams``: the FIFOs that it fills.

    ``weight_bits``: of all weights, zeros among them.
    """

    name: str
    source: str
    setting: Setting
    interval: int
    multipliers: int
    weights: int
    nonzeros: int
    weight_bits: int
    line_buffer_bits: int
    streams: tuple[Stream, ...]

    @property
    def stream_bits(self) -> int:
        """Sum the bits of the FIFOs."""
        return sum(stream.bits for stream in self.streams)

    @property
    def covered(self) -> bool:
        """Whether tools are known to keep the interval: not where the latency strategy reuses multipliers."""
        return self.setting.reuse == 1 or self.setting.strategy != "latency"


@dataclass(frozen=True)
class NetworkCost:
    """A network's cost: ``layers`` in the order that they run; ``latency`` in cycles, from a sample to its result."""

    layers: tuple[LayerCost, ...]
    latency: int

    @property
    def interval(self) -> int:
        """Return the cycles from one sample to the next: those of the slowest layer."""
        return max(layer.interval for layer in self.layers)

    @property
    def multipliers(self) -> int:
        """Sum the multipliers."""
        return sum(layer.multipliers for layer in self.layers)

    @property
    def nonzeros(self) -> int:
        """Sum the weights that are not zero."""
        return sum(layer.nonzeros for layer in self.layers)

    @property
    def weight_bits(self) -> int:
        """Sum the bits of the weights."""
        return sum(layer.weight_bits for layer in self.layers)

    @property
    def line_buffer_bits(self) -> int:
        """Sum the bits of the line buffers."""
        return sum(layer.line_buffer_bits for layer in self.layers)

    @property
    def stream_bits(self) -> int:
        """Sum the bits of the FIFOs."""
        return sum(layer.stream_bits for layer in self.layers)


def cost(network: Network, settings: Settings, precision: Precision | None = None) -> NetworkCost:
    """Return what a network costs at its settings; a layer without one is fully unrolled.

    ``precision`` says how wide values are; without it each has 16 bits. A network of vectors only is taken as
    io_parallel, without FIFOs; any other as io_stream.
    """
    counts, layers = packs(network), []
    streamed = any(len(layer.shape) > 1 for layer in network.layers)
    for layer in network.layers:
        setting, stored = settings.get(layer.name, Setting()), weights(layer)
        layers.append(
            LayerCost(
                name=layer.name,
                source=layer.source,
                setting=setting,
                interval=interval(layer, setting, network, counts),
                multipliers=multipliers(layer, setting),
                weights=stored.size,
                nonzeros=int(np.count_nonzero(stored)),
                weight_bits=stored.size * weight_bits(layer.name, precision),
                line_buffer_bits=line_buffer_bits(layer, network, precision),
                streams=streams(layer, network, counts, precision) if streamed else (),
            )
        )
    return NetworkCost(tuple(layers), latency(network, settings))
