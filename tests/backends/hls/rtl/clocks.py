"""Clocks that the hardware takes, worked out rather than simulated: equal to the simulation while sinks never wait.

A layer visits one place a clock: a convolution and a pooling the places of the padded image, others words. Its interval
is their number, and that of a network is the longest of its layers'.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from optimise_onnx.backends.hls.network import Convolution, Input, Layer, Network, Pooling, Shape
from optimise_onnx.backends.hls.rtl.links import Link

Clocks = npt.NDArray[np.int64]


def interval(network: Network) -> int:
    """Return the clocks between images that follow each other without a gap."""
    return max(places(layer, network) for layer in network.layers)


def places(layer: Layer, network: Network) -> int:
    """Return the clocks for which one image keeps a layer busy."""
    images = [network.by_name[name].shape for name in layer.inputs] or [layer.shape]
    if not isinstance(layer, Convolution | Pooling):
        return max(_words(shape) for shape in images)
    (height, width, _), (top, left, bottom, right) = images[0], layer.pads
    return (top + height + bottom) * (left + width + right)


def latency(network: Network, links: Iterable[Link], levels: Mapping[str, int]) -> int:
    """Return the clocks from offering the first word of one image to its last result, both counted.

    ``links`` and ``levels`` are the design's: a link that stores words takes one clock, a layer its registers.
    """
    stored = {(link.writer, link.reader, link.port): bool(link.depth) for link in links}
    given: dict[str, Clocks] = {}
    for layer in network.layers:
        arrivals = [given[name] + stored[name, layer.name, port] for port, name in enumerate(layer.inputs)]
        if isinstance(layer, Input):
            given[layer.name] = np.arange(_words(layer.shape))
        else:
            given[layer.name] = _results(layer, np.maximum.reduce(arrivals), network) + levels[layer.name]
    ends = [int(given[name][-1]) + stored[name, None, port] for port, name in enumerate(network.outputs)]
    return max(ends) + 1


def _results(layer: Layer, arrivals: Clocks, network: Network) -> Clocks:
    """Return the clock at which the last place that each result needs is visited."""
    if not isinstance(layer, Convolution | Pooling):
        visits = _visits(arrivals)
        return visits if len(visits) == _words(layer.shape) else visits[-1:]
    height, width, _ = network.by_name[layer.inputs[0]].shape
    top, left, bottom, right = layer.pads
    rows, columns = layer.kernel.shape[:2] if isinstance(layer, Convolution) else layer.size
    padded = np.pad(arrivals.reshape(height, width), ((top, bottom), (left, right)))
    visits = _visits(padded.reshape(-1)).reshape(padded.shape)
    return visits[rows - 1 :: layer.strides[0], columns - 1 :: layer.strides[1]].reshape(-1)


def _visits(arrivals: Clocks) -> Clocks:
    """Visit places in order, one a clock, none before its word is there; outside the image, 0, none is awaited."""
    order = np.arange(len(arrivals))
    return np.asarray(np.maximum.accumulate(arrivals - order) + order)


def _words(shape: Shape) -> int:
    return shape[0] * shape[1] if len(shape) > 1 else 1
