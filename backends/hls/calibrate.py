"""Fixed-point types from what a network is seen to compute: integer bits by range, weights and biases on their grids.

Sums are exact. What only an activation reads, and what nobody reads, keeps all its bits, for it is never stored; what
another linear layer reads, such as the middle of a k x 1 and 1 x k pair, has two bits more than activations.

Where the model gives types, as QONNX does, these are kept, and what it leaves open keeps all its bits too: a type is
chosen only for scales that are no powers of two (25 bits, the wide port of a multiplier), and for biases finer than
sums (some bits more than sums have, so that no tie of a rounding is made or unmade).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from ...ir.errors import LoweringError
from .fixed import Fixed, either_type, holding, mean_type, product_type, reaching, sum_type
from .network import (
    Activation,
    Addition,
    Affine,
    Concatenation,
    Convolution,
    Dense,
    Flatten,
    Floats,
    Layer,
    Multiplication,
    Network,
    Pooling,
    Stuffing,
    Upsampling,
)
from .precision import Precision, Types
from .reference import run
from .tables import TABLES, table_type

Bits = int | Mapping[str, int]
"""One width, or each layer's by name."""

Range = tuple[float, float]

_BIAS_BITS = 24
_FINER_BITS = 6
_SCALE_BITS = 25
LINEAR_EXTRA_BITS = 2
"""What a result has more than activations where another linear layer reads it."""

_CHUNK_VALUES = 2**22


def calibrated(
    network: Network, samples: Floats, weight_bits: Bits, activation_bits: Bits
) -> tuple[Network, Precision]:
    """Return the network with weights, biases and parameters on their grids, and every layer's types.

    ``samples`` (n, H, W, C) or (n, N) are the inputs whose values are observed; n of some dozens is enough.
    """
    return typed(network, ranges(network, samples), weight_bits, activation_bits)


def typed(
    network: Network, observed: Mapping[str, Range], weight_bits: Bits, activation_bits: Bits
) -> tuple[Network, Precision]:
    """Return what :func:`calibrated` does, from ranges observed before."""
    layers: list[Layer] = []
    precision: dict[str, Types] = {}
    for layer in network.layers:
        place = _Place(
            tuple(precision[name].result for name in layer.inputs),
            observed[layer.name],
            _SCALE_BITS if network.typed and isinstance(layer, Affine) else _bits(weight_bits, layer),
            _bits(activation_bits, layer),
            network.readers(layer.name),
            network.typed,
        )
        on_grid, types = _typed(layer, place)
        layers.append(on_grid)
        precision[layer.name] = types if layer.grid is None else replace(types, result=_given(layer, layer.grid, place))
    return replace(network, layers=tuple(layers)), precision


def ranges(network: Network, samples: Floats) -> dict[str, Range]:
    """Return the least and the largest value of each layer in real numbers."""
    largest = max(int(np.prod(layer.shape)) for layer in network.layers)
    size = max(1, _CHUNK_VALUES // largest)
    observed: dict[str, Range] = {}
    for at in range(0, len(samples), size):
        for name, value in run(network, samples[at : at + size]).items():
            low, high = observed.get(name, (np.inf, -np.inf))
            observed[name] = (min(low, float(value.min())), max(high, float(value.max())))
    return observed


def fitted(observed: Range, width: int, signed: bool) -> Fixed:
    """Return the type of the least integer bits, below 0 too, that no value leaves by more than a step.

    One step more is allowed, as one integer bit more would cost every value as much.
    """
    low, high = observed
    magnitude = max(high, -low)
    integer = int(np.ceil(np.log2(magnitude))) - 1 + signed if magnitude > 0 else int(signed)
    grid = Fixed(width, integer, signed, rounds=True, saturates=True)
    while high > grid.high + grid.step or low < grid.low - grid.step:
        grid = replace(grid, integer=grid.integer + 1)
    return grid


@dataclass(frozen=True)
class _Place:
    """What is known where a layer stands."""

    inputs: tuple[Fixed, ...]
    observed: Range
    weight_bits: int
    activation_bits: int
    readers: Sequence[Layer]
    exact: bool

    @property
    def stays_wide(self) -> bool:
        return self.exact or all(isinstance(reader, Activation) for reader in self.readers)

    @property
    def pads_maxima(self) -> bool:
        """hls4ml takes the top bit alone for the least value of a type, which holds for signed ones."""
        pools = [reader for reader in self.readers if isinstance(reader, Pooling)]
        return any(pool.kind == "max" and any(pool.pads) for pool in pools)


def _bits(bits: Bits, layer: Layer) -> int:
    return bits if isinstance(bits, int) else bits[layer.name]


def _typed(layer: Layer, place: _Place) -> tuple[Layer, Types]:
    if isinstance(layer, Convolution):
        outputs_last = layer.kernel.swapaxes(2, 3) if layer.depthwise else layer.kernel
        kernel, bias, types = _weighted(outputs_last, layer.bias, place, layer.weight_grid)
        return replace(layer, kernel=kernel.swapaxes(2, 3) if layer.depthwise else kernel, bias=bias), types
    if isinstance(layer, Dense):
        weight, bias, types = _weighted(layer.weight, layer.bias, place, layer.weight_grid)
        return replace(layer, weight=weight, bias=bias), types
    if isinstance(layer, Affine):
        scale, shift, types = _weighted(layer.scale[None], layer.shift, place)
        return replace(layer, scale=scale[0], shift=shift), types
    if isinstance(layer, Activation):
        return _curved(layer, place)
    return layer, _weightless(layer, place)


def _given(layer: Layer, grid: Fixed, place: _Place) -> Fixed:
    """Return the type that the model gives a layer's result, signed where hls4ml needs that."""
    if grid.signed or not place.pads_maxima:
        return grid
    if isinstance(layer, Activation) and layer.kind == "relu":
        return replace(grid, width=grid.width + 1, integer=grid.integer + 1, signed=True)
    raise LoweringError(
        "the network cannot be lowered to streaming hardware",
        node_name=layer.source,
        op_type=type(layer).__name__.lower(),
        why="hls4ml pads maxima of unsigned types with zeros",
        hint="give it a signed type",
    )


def _weighted(weight: Floats, bias: Floats, place: _Place, grid: Fixed | None = None) -> tuple[Floats, Floats, Types]:
    """Return weights (..., outputs) and biases on their grids, and types whose sums are exact."""
    (values,) = place.inputs
    weight_type = grid or (_weight_type(weight, place) if place.exact else _spanning(weight, place.weight_bits))
    weight = weight_type.cast(weight)
    if place.exact:
        weight_type = min(weight_type, holding(weight), key=lambda one: one.width)
    fraction = values.fraction + weight_type.fraction
    bias_type = _bias_type(bias, fraction + _FINER_BITS if place.exact else fraction)
    bias = bias_type.cast(bias)
    if place.exact:
        bias_type = holding(bias)
        fraction = max(fraction, bias_type.fraction)
    reach = max(-values.low, values.high) * np.abs(weight).reshape(-1, weight.shape[-1]).sum(0)
    accumulator = reaching(float((reach + np.abs(bias)).max()), fraction)
    narrow = fitted(place.observed, place.activation_bits + LINEAR_EXTRA_BITS, signed=True)
    exact = place.stays_wide or narrow.fraction >= accumulator.fraction
    result = accumulator if exact else narrow
    return weight, bias, Types(result, weight_type, bias_type, accumulator)


def _weight_type(weight: Floats, place: _Place) -> Fixed:
    """Return the narrowest type that holds weights as they are, where it has few enough bits; else one of these."""
    exact = holding(weight)
    if exact.width <= place.weight_bits:
        return exact
    return _spanning(weight, place.weight_bits)


def _spanning(values: Floats, bits: int) -> Fixed:
    """Return the finest signed type of some bits that reaches from the least value to the largest."""
    return fitted((float(values.min()), float(values.max())), bits, signed=True)


def _bias_type(bias: Floats, fraction: int) -> Fixed:
    """Return at most 24 bits, and no step finer than that of the products."""
    widest = _spanning(bias, _BIAS_BITS)
    behind = min(fraction, widest.fraction)
    width = max(2, widest.integer + behind)
    return replace(widest, width=width, integer=width - behind)


def _curved(layer: Activation, place: _Place) -> tuple[Layer, Types]:
    low, _ = place.observed
    signed = layer.kind in {"elu", "leaky_relu", "softsign", "tanh"} or low < 0 or place.pads_maxima
    result = layer.grid or fitted(place.observed, place.activation_bits, signed)
    if layer.kind == "relu" and place.exact and layer.grid is None:
        return layer, Types(place.inputs[0])
    if layer.kind == "clip":
        ends = result.cast(np.asarray(layer.parameters))  # an end beyond the type is where it saturates
        return replace(layer, parameters=tuple(ends.tolist())), Types(result)
    table = table_type(layer.kind) if layer.kind in TABLES else None
    if not layer.parameters:
        return layer, Types(result, weight=table)
    slope = np.asarray(layer.parameters)
    grid = _weight_type(slope, place)
    layer = replace(layer, parameters=tuple(grid.cast(slope).tolist()))
    return layer, Types(result, weight=grid) if table is None else Types(result, weight=table, bias=grid)


def _weightless(layer: Layer, place: _Place) -> Types:
    if isinstance(layer, Flatten | Stuffing | Upsampling):
        return Types(place.inputs[0])
    if isinstance(layer, Multiplication) and place.exact:
        return Types(product_type(*place.inputs))
    if isinstance(layer, Pooling) and layer.kind == "max":
        return Types(place.inputs[0], accumulator=place.inputs[0])
    if isinstance(layer, Addition) and place.stays_wide:
        return Types(sum_type(*place.inputs))
    if isinstance(layer, Concatenation) and place.exact:
        return Types(either_type(*place.inputs))
    if isinstance(layer, Pooling) and place.exact:
        mean = mean_type(place.inputs[0], prod(layer.size))
        return Types(mean, accumulator=mean)
    signed = any(grid.signed for grid in place.inputs) or place.observed[0] < 0 or place.pads_maxima
    result = fitted(place.observed, place.activation_bits, signed)
    if isinstance(layer, Pooling):
        return Types(result, accumulator=mean_type(place.inputs[0], prod(layer.size)))
    return Types(result)
