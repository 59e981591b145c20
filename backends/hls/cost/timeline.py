"""When the last word of a sample leaves: each loop run against the words that reach it.

FIFOs hold what is written until it is read, as hls4ml's do at their default depths.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ..network import Convolution, Dense, Flatten, Input, Layer, Network, Pooling, Stuffing, Upsampling
from .loops import SHUFFLE_CYCLES, complete, packs
from .settings import Setting, Settings

Ints = npt.NDArray[np.int64]


def latency(network: Network, settings: Settings) -> int:
    """Return the cycles from a sample's first word to its last result's; a word enters with each cycle.

    Registers between the stages of an adder tree are not counted.
    """
    counts, written = packs(network), dict[str, Ints]()
    for layer in network.layers:
        arrivals = [written[name] for name in layer.inputs]
        written[layer.name] = times(layer, settings.get(layer.name, Setting()), network, counts, arrivals)
    return int(max(written[name][-1] for name in network.outputs))


def times(layer: Layer, setting: Setting, network: Network, counts: Mapping[str, int], arrivals: list[Ints]) -> Ints:
    """Return the cycles (words,) at which a layer has written each word of its result; ``arrivals``: of its inputs."""
    match layer:
        case Input():
            return np.arange(1, counts[layer.name] + 1)
        case Flatten():
            return arrivals[0]
        case Dense():
            gathered = run(arrivals[0], np.ones_like(arrivals[0]))[-1] if len(arrivals[0]) > 1 else arrivals[0][-1]
            return np.array([gathered + setting.reuse], np.int64)
        case Convolution() | Pooling():
            return _windows(layer, setting, network, arrivals[0])
        case Upsampling():
            return _repeated(layer, arrivals[0])
        case Stuffing():
            words = np.zeros(layer.shape[:2], np.int64)  # zeros are there from the start
            height, width = network.by_name[layer.inputs[0]].shape[:2]
            words[:: layer.factors[0], :: layer.factors[1]] = arrivals[0].reshape(height, width)
            return run(words.ravel(), np.ones(words.size, np.int64))
    ready = np.maximum.reduce(arrivals)
    return run(ready, np.ones_like(ready))


def run(arrivals: Ints, cycles: Ints) -> Ints:
    """Return when each trip of a loop ends: it takes ``cycles``, after the trip before it and its word's arrival.

    ``end[i] = max(end[i - 1], arrivals[i]) + cycles[i]``, all (trips,).
    """
    spent = np.cumsum(cycles)
    return np.asarray(spent + np.maximum.accumulate(arrivals - (spent - cycles)))


def _repeated(layer: Upsampling, arrivals: Ints) -> Ints:
    """Each row is read as a whole before it is written, again and again."""
    rows = arrivals.reshape(layer.shape[0] // layer.factors[0], -1).max(1)
    ready = rows.repeat(layer.factors[0] * layer.shape[1])
    return run(ready, np.ones_like(ready))


def _windows(layer: Convolution | Pooling, setting: Setting, network: Network, arrivals: Ints) -> Ints:
    shape = network.by_name[layer.inputs[0]].shape
    whole = complete(layer, shape)
    words = np.zeros(whole.shape, np.int64)  # pads are there from the start
    top, left = layer.pads[:2]
    words[top : top + shape[0], left : left + shape[1]] = arrivals.reshape(shape[:2])
    cycles = np.ones_like(words)
    if isinstance(layer, Convolution):
        resource = setting.strategy == "resource"
        cycles = np.where(whole, setting.reuse + SHUFFLE_CYCLES, 1) if resource else cycles * setting.reuse
    return run(words.ravel(), cycles.ravel())[whole.ravel()]
