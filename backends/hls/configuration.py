"""What hls4ml is told beside the model: types, strategy and reuse of each layer."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...ir.errors import LoweringError, PreconditionError
from .cost.settings import Setting, Settings, Strategy, buildable
from .dialect import bias_name, clip_names, joins_bias, pixel_name, stuffing_names
from .fixed import Fixed, holding, sum_type
from .network import Activation, Affine, Convolution, Dense, Layer, Network, Pooling, Stuffing, Upsampling
from .precision import Precision, Types
from .style import Backend, IoType, Style
from .tables import TABLES

_WRONG_DEPTHWISE = ("Catapult", "io_parallel")


@dataclass(frozen=True)
class Options:
    """How the hardware is to be built.

    ``clock_period`` in ns; ``part`` None is hls4ml's own choice; ``settings`` hold for every layer, or name each layer
    with weights.
    """

    backend: Backend = "Vitis"
    io_type: IoType = "io_stream"
    part: str | None = None
    clock_period: float = 5.0
    settings: Setting | Settings = Setting()

    @property
    def style(self) -> Style:
        """Return what settings depend on."""
        return Style(self.backend, self.io_type)

    def setting(self, layer: Convolution | Dense) -> Setting:
        """Return one layer's, as hls4ml builds it."""
        wanted = self.settings if isinstance(self.settings, Setting) else self.settings[layer.name]
        return buildable(layer, wanted, self.style)

    def resolved(self, network: Network) -> dict[str, Setting]:
        """Return the settings of all layers with weights, as hls4ml builds them."""
        return {layer.name: self.setting(layer) for layer in network.layers if isinstance(layer, Convolution | Dense)}


def configuration(network: Network, precision: Precision, options: Options) -> dict[str, Any]:
    """Return hls4ml's ``HLSConfig``.

    Raises LoweringError for a layer that the chosen backend or style of input and output cannot hold,
    PreconditionError for a dense layer read by nothing but curves whose result is not its accumulator's type.
    """
    check(network, options)
    layers: dict[str, Any] = {}
    for layer in network.layers:
        layers |= _entries(network, layer, precision, options)
    strategies: set[Strategy] = {setting.strategy for setting in options.resolved(network).values()}
    model = {
        "Precision": {"default": "fixed<16,6>"},
        "ReuseFactor": 1,
        "Strategy": "distributed_arithmetic" if "distributed_arithmetic" in strategies else "Latency",
        "BramFactor": 1_000_000_000,
    }
    return {"Model": model, "LayerName": layers}


def check(network: Network, options: Options) -> None:
    """Raise LoweringError for the first layer that the chosen backend or style of input and output cannot hold."""
    for layer in network.layers:
        _refuse_what_comes_out_wrong(layer, options)


def _entries(network: Network, layer: Layer, precision: Precision, options: Options) -> dict[str, Any]:
    types = precision[layer.name]
    if isinstance(layer, Convolution):
        return {layer.name: _weighted(types, layer, options) | {"ConvImplementation": "LineBuffer"}}
    if isinstance(layer, Dense):
        return _dense(network, layer, types, options)
    if isinstance(layer, Affine):
        return {layer.name: _scaling(types.weight, types.bias, types.result)}
    if isinstance(layer, Pooling):
        return {layer.name: {"Precision": {"result": str(types.result), "accum": str(types.accumulator)}}}
    if isinstance(layer, Activation) and layer.kind == "clip":
        return _clip(layer, types, precision[layer.inputs[0]].result)
    if isinstance(layer, Activation) and layer.kind in TABLES:  # hls4ml does not look for this type among the others
        slope = {"param": str(types.bias)} if types.bias else {}
        return {layer.name: {"Precision": {"result": str(types.result), **slope}, "table_t": str(types.weight)}}
    if isinstance(layer, Stuffing):
        return {name: {"Precision": {"result": str(types.result)}} for name in stuffing_names(layer)}
    if isinstance(layer, Upsampling):
        return {name: {"Precision": {"result": str(types.result)}} for name in (pixel_name(layer), layer.name)}
    named = {"result": types.result} | ({"param": types.weight} if types.weight else {})
    return {layer.name: {"Precision": {key: str(grid) for key, grid in named.items()}}}


def _weighted(types: Types, layer: Convolution | Dense, options: Options) -> dict[str, Any]:
    setting = options.setting(layer)
    named = {"weight": types.weight, "bias": types.bias, "result": types.result, "accum": types.accumulator}
    return {
        "Precision": {key: str(grid) for key, grid in named.items()},
        "ReuseFactor": setting.reuse,
        "Strategy": setting.strategy,
    }


def _dense(network: Network, layer: Dense, types: Types, options: Options) -> dict[str, Any]:
    product = _weighted(types, layer, options)
    if joins_bias(network, layer):  # hls4ml finds a type itself, as wide as the sums or wider
        if types.result != types.accumulator:
            raise PreconditionError("what only curves read keeps all its bits", node_name=layer.source, op_type="dense")
        product["Precision"]["result"] = "auto"
        return {layer.name: product, bias_name(layer): _scaling(Fixed(1, 1, False), types.bias, None)}
    product["Precision"]["result"] = str(types.accumulator)
    return {layer.name: product, bias_name(layer): _scaling(Fixed(1, 1, False), types.bias, types.result)}


def _scaling(scale: Fixed | None, shift: Fixed | None, result: Fixed | None) -> dict[str, Any]:
    return {"Precision": {"scale": str(scale), "bias": str(shift), "result": str(result or "auto")}}


def _clip(layer: Activation, types: Types, given: Fixed) -> dict[str, Any]:
    """Type the steps of b - relu(b - a - relu(x - a)) so that only the first relu rounds."""
    result, (bottom, _) = types.result, layer.parameters
    if result.even and round(bottom / result.step) % 2:
        why = "halves are rounded to even, and the lower end is an odd number of steps"
        raise LoweringError("cannot be built by hls4ml", node_name=layer.source, op_type="clip", why=why)
    positive = replace(result, signed=False, symmetric=False)
    signed = Fixed(result.width + 2, result.integer + 2)
    low, room, rest, kept = clip_names(layer)
    entries = {
        layer.name: {"Precision": {"result": str(positive)}},
        room: _scaling(Fixed(2, 2), signed, signed),
        rest: {"Precision": {"result": str(positive)}},
        kept: _scaling(Fixed(2, 2), signed, result),
    }
    shift = holding(np.array([-bottom]))
    return entries | ({low: _scaling(Fixed(1, 1, False), shift, sum_type(given, shift))} if bottom else {})


def _refuse_what_comes_out_wrong(layer: Layer, options: Options) -> None:
    """Raise LoweringError where hls4ml's own code aborts or gives other numbers than its Vitis backend."""
    why, hint = "", "choose Vitis or Vivado"
    xilinx = options.style.xilinx
    if (
        isinstance(layer, Pooling)
        and options.io_type == "io_stream"
        and (layer.size != layer.strides or any(layer.pads))
    ):
        why, hint = "hls4ml streams only pooling whose windows neither overlap nor are padded", "choose io_parallel"
    if isinstance(layer, Pooling) and layer.kind == "average" and not xilinx:
        why = f"hls4ml's {options.backend} backend loses bits of the sum"
    if isinstance(layer, Activation) and layer.kind in TABLES and not xilinx:
        why = f"hls4ml's {options.backend} backend fills its tables in another way"
    if isinstance(layer, Convolution) and layer.depthwise and options.backend == "Quartus":
        why = "hls4ml's Quartus backend has no depthwise convolution"
    if isinstance(layer, Convolution) and layer.depthwise and (options.backend, options.io_type) == _WRONG_DEPTHWISE:
        why = "hls4ml's Catapult backend computes another depthwise convolution in parallel"
    if why:
        message, kind = "cannot be built by hls4ml", type(layer).__name__.lower()
        raise LoweringError(message, node_name=layer.source, op_type=kind, why=why, hint=hint)
