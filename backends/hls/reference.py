"""Run a network in float64, as the ONNX model would: the yardstick for everything in fixed point."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from . import network as hls
from .arithmetic import convolve, pool
from .network import Floats, Layer, Network


def run(network: Network, samples: Floats) -> dict[str, Floats]:
    """Return the value (n, *shape) of every layer by name; ``samples`` as of :class:`~.network.Network`."""
    values = network.apart(samples)
    for layer in network.layers:
        exact = compute(layer, [values[name] for name in layer.inputs]) if layer.inputs else values[layer.name]
        values[layer.name] = exact if layer.grid is None else layer.grid.cast(exact)
    return values


def run_tensors(network: Network, feeds: Mapping[str, npt.NDArray[np.generic]]) -> dict[str, Floats]:
    """Return the outputs of the ONNX model by name, from feeds in the model's own layout, such as (n, C, H, W)."""
    values = run(network, network.samples(feeds))
    return {
        port.tensor: port.to_tensor(values[name]) for name, port in zip(network.outputs, network.ports, strict=True)
    }


def compute(layer: Layer, inputs: Sequence[Floats]) -> Floats:
    """Return a layer's value (n, *shape) from those it reads, before it is brought onto a grid."""
    return np.asarray(_LAYERS[type(layer)](layer, *inputs))


def _activate(layer: hls.Activation, x: Floats) -> Floats:
    return np.asarray(_CURVES[layer.kind](x, *layer.parameters))


_CURVES: dict[str, Callable[..., Floats]] = {
    "clip": lambda x, low, high: np.clip(x, low, high),
    "elu": lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
    "leaky_relu": lambda x, slope: np.where(x > 0, x, slope * x),
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 0.5 + 0.5 * np.tanh(0.5 * x),
    "softplus": lambda x: np.logaddexp(x, 0),
    "softsign": lambda x: x / (np.abs(x) + 1),
    "tanh": lambda x: np.tanh(x),
}


def _repeated(layer: hls.Upsampling, x: Floats) -> Floats:
    pixels = x[:, None, None] if x.ndim == 2 else x
    return pixels.repeat(layer.factors[0], 1).repeat(layer.factors[1], 2)


def _stuffed(layer: hls.Stuffing, x: Floats) -> Floats:
    wide = np.zeros((len(x), *layer.shape))
    wide[:, :: layer.factors[0], :: layer.factors[1]] = x
    return wide


_LAYERS: dict[type[Layer], Callable[..., Floats]] = {
    hls.Activation: _activate,
    hls.Addition: lambda layer, a, b: a + b,
    hls.Affine: lambda layer, x: x * layer.scale + layer.shift,
    hls.Concatenation: lambda layer, a, b: np.concatenate([a, b], -1),
    hls.Convolution: lambda layer, x: (
        convolve(x, layer.kernel, layer.strides, layer.pads, layer.depthwise) + layer.bias
    ),
    hls.Dense: lambda layer, x: x @ layer.weight + layer.bias,
    hls.Flatten: lambda layer, x: x.reshape(len(x), -1),
    hls.Multiplication: lambda layer, a, b: a * b,
    hls.Pooling: lambda layer, x: pool(x, layer.kind, layer.size, layer.strides, layer.pads),
    hls.Stuffing: _stuffed,
    hls.Upsampling: _repeated,
}
