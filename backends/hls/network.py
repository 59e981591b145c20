"""A network as streaming hardware sees it: layers of one sample, channels last, in the order that they run.

Everything behind the lowering works on this: the dialect that hls4ml reads, the emulator, the cost and the RTL.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Literal

import numpy as np
import numpy.typing as npt

from .fixed import Fixed
from .ports import Port

Floats = npt.NDArray[np.float64]
Shape = tuple[int, ...]
Curve = Literal["relu", "leaky_relu", "clip", "sigmoid", "tanh", "elu", "softplus", "softsign"]


@dataclass(frozen=True, eq=False)
class Layer:
    """``name`` is unique and an identifier in C; ``inputs`` name the layers read; ``shape`` of the output is (H, W, C)
    or (N,); ``source`` names the node of the ONNX graph that it comes from, for messages. ``grid``: the type that the
    model gives its result, None where types are chosen here.
    """

    name: str
    inputs: tuple[str, ...]
    shape: Shape
    source: str
    grid: Fixed | None = field(default=None, kw_only=True)


@dataclass(frozen=True, eq=False)
class Input(Layer):
    """What a sample is fed to; ``inputs`` is empty. ``port`` brings samples of the ONNX model into its layout."""

    port: Port | None = None


@dataclass(frozen=True, eq=False)
class Convolution(Layer):
    """``kernel`` (kh, kw, C_in, C_out), or (kh, kw, C, 1) where ``depthwise``; ``bias`` (C_out,).

    ``pads``: zeros put above, left, below and right. Dilations and groups stand in the kernel, as zeros.
    ``weight_grid``: the type of the kernel, whose values lie on it, where the model gives one.
    """

    kernel: Floats
    bias: Floats
    strides: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)
    depthwise: bool = False
    weight_grid: Fixed | None = field(default=None, kw_only=True)


@dataclass(frozen=True, eq=False)
class Dense(Layer):
    """``weight`` (N_in, N_out), ``bias`` (N_out,); ``weight_grid`` as of a convolution."""

    weight: Floats
    bias: Floats
    weight_grid: Fixed | None = field(default=None, kw_only=True)


@dataclass(frozen=True, eq=False)
class Pooling(Layer):
    """The largest or the mean of each window; padded places do not count."""

    kind: Literal["max", "average"]
    size: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class Activation(Layer):
    """A function of each element; ``parameters``: the slope of leaky_relu and elu, the ends of clip."""

    kind: Curve
    parameters: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Affine(Layer):
    """``scale`` (C,) times the input plus ``shift`` (C,), where no layer before it could take them up."""

    scale: Floats
    shift: Floats


@dataclass(frozen=True, eq=False)
class Addition(Layer):
    """The sum of two inputs of one shape."""


@dataclass(frozen=True, eq=False)
class Multiplication(Layer):
    """The product of two inputs of one shape, element by element."""


@dataclass(frozen=True, eq=False)
class Upsampling(Layer):
    """Each pixel of a map (H, W, C), or a vector (C,) as the only pixel, again and again: ``factors`` rows, columns."""

    factors: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Stuffing(Layer):
    """A map with zeros between: behind each row ``factors[0]`` - 1 rows, behind each column ``factors[1]`` - 1."""

    factors: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Concatenation(Layer):
    """Two inputs, one behind the other along the channels."""


@dataclass(frozen=True, eq=False)
class Flatten(Layer):
    """(H, W, C) read row by row, channels fastest, as (N,)."""


@dataclass(frozen=True, eq=False)
class Network:
    """``layers`` in an order that runs; ``outputs`` name the layers whose values are results, in the graph's order.

    ``notes`` say what was left out or changed on purpose, such as a softmax at the end. ``ports``, one for each of
    ``outputs``, bring results into the layout of the ONNX model.

    Samples are (n, H, W, C) or (n, N), as the input has them; of a network with several inputs (n, N), the values of
    each behind those of the one before.
    """

    layers: tuple[Layer, ...]
    outputs: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())
    ports: tuple[Port, ...] = ()

    @property
    def typed(self) -> bool:
        """Whether the model gives types to values; then what it leaves open is kept exactly where it can be."""
        return any(layer.grid is not None for layer in self.layers)

    @property
    def by_name(self) -> Mapping[str, Layer]:
        """The layers by name."""
        return {layer.name: layer for layer in self.layers}

    @property
    def inputs(self) -> tuple["Input", ...]:
        """The layers that samples are fed to, in order."""
        return tuple(layer for layer in self.layers if isinstance(layer, Input))

    def apart(self, samples: Floats) -> dict[str, Floats]:
        """Return what each input is fed (n, *shape), by layer name."""
        if len(self.inputs) == 1:
            return {self.inputs[0].name: np.asarray(samples, np.float64)}
        ends = np.cumsum([prod(layer.shape) for layer in self.inputs])
        parts = np.split(np.asarray(samples, np.float64), ends[:-1], axis=1)
        return {layer.name: part.reshape(-1, *layer.shape) for layer, part in zip(self.inputs, parts, strict=True)}

    def together(self, fed: Mapping[str, Floats]) -> Floats:
        """Return samples from what each input is fed (n, *shape), by layer name; undoes :meth:`apart`."""
        parts = [fed[layer.name] for layer in self.inputs]
        return parts[0] if len(parts) == 1 else np.hstack([part.reshape(len(part), -1) for part in parts])

    def samples(self, feeds: Mapping[str, npt.NDArray[np.generic]]) -> Floats:
        """Return samples from feeds of the ONNX model, by tensor name. Raises ValueError where there is no model."""
        ports = {layer.name: layer.port for layer in self.inputs}
        if any(port is None for port in ports.values()):
            raise ValueError("the network was not lowered from a model")
        return self.together({name: port.to_layer(feeds[port.tensor]) for name, port in ports.items() if port})

    def readers(self, name: str) -> Sequence[Layer]:
        """Return the layers that read one."""
        return [layer for layer in self.layers if name in layer.inputs]
