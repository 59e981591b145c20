"""What a streamed design stores: the rows that windows wait for, and the FIFOs between layers."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from ..network import Convolution, Flatten, Input, Layer, Network, Pooling
from ..precision import Precision
from .loops import padded, window

DEFAULT_BITS = 16
"""Of each value where no precision is given: hls4ml's ``ap_fixed<16,6>``."""


@dataclass(frozen=True)
class Stream:
    """A FIFO of ``depth`` words of ``width`` bits."""

    width: int
    depth: int

    @property
    def bits(self) -> int:
        """Return what the FIFO holds when it is full."""
        return self.width * self.depth


def result_bits(name: str, precision: Precision | None) -> int:
    """Return the bits of an element of a layer's result."""
    return DEFAULT_BITS if precision is None else precision[name].result.width


def weight_bits(name: str, precision: Precision | None) -> int:
    """Return the bits of a layer's weight; for layers that have weights."""
    found = None if precision is None else precision[name].weight
    return DEFAULT_BITS if found is None else found.width


def line_buffer_bits(layer: Layer, network: Network, precision: Precision | None) -> int:
    """Count the bits of the rows that a window needs besides the one that comes in."""
    if not isinstance(layer, Convolution | Pooling):
        return 0
    (source,) = layer.inputs
    shape = network.by_name[source].shape
    return (window(layer)[0] - 1) * padded(layer, shape)[1] * shape[2] * result_bits(source, precision)


def streams(
    layer: Layer, network: Network, counts: Mapping[str, int], precision: Precision | None
) -> tuple[Stream, ...]:
    """Return the FIFOs that a layer fills, as deep as hls4ml makes them: a whole result.

    That of a padded input comes first. A result with several readers is copied, to a FIFO for each. The ports of the
    network are no FIFOs.
    """
    found = []
    if isinstance(layer, Convolution | Pooling) and any(layer.pads):
        (source,) = layer.inputs
        shape = network.by_name[source].shape
        found.append(Stream(shape[2] * result_bits(source, precision), prod(padded(layer, shape))))
    depth = counts[layer.name]
    result = Stream(prod(layer.shape) // depth * result_bits(layer.name, precision), depth)
    copies = sum(reader.inputs.count(layer.name) for reader in network.layers)
    if copies and not isinstance(layer, Input | Flatten):
        found.append(result)
    if copies + (layer.name in network.outputs) > 1:
        found += [result] * copies
    return tuple(found)
