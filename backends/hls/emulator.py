"""A fixed-point network run in numpy, equal to hls4ml's C simulation to the last bit."""

from collections.abc import Mapping

import numpy as np

from ...ir.errors import LoweringError
from .arithmetic import window_counts, window_sums
from .fixed import Fixed, product_type
from .network import Activation, Floats, Layer, Multiplication, Network, Pooling
from .precision import Precision, Types
from .reference import compute
from .tables import TABLES, looked_up

EXACT_BITS = 52
"""The widest integer whose sums float64 holds without rounding."""

_CHUNK_VALUES = 2**22


class Emulator:
    """Runs samples through a network whose weights lie on the grids of its precision.

    Raises LoweringError where a type is wider than 52 bits. Samples are as of :class:`~.network.Network`.
    """

    def __init__(self, network: Network, precision: Precision) -> None:
        self._network, self._precision = network, precision
        for layer in network.layers:
            _check_widths(layer, precision[layer.name], [precision[name].result for name in layer.inputs])

    def run(self, samples: Floats) -> dict[str, Floats]:
        """Return each output's values, (n, H, W, C) or (n, N), for samples (n, H, W, C) or (n, N)."""
        return self._collect(samples, frozenset(self._network.outputs))

    def trace(self, samples: Floats) -> dict[str, Floats]:
        """Return the values of every layer, for samples (n, H, W, C) or (n, N)."""
        return self._collect(samples, frozenset(layer.name for layer in self._network.layers))

    def saturations(self, samples: Floats) -> dict[str, int]:
        """Count, for each layer, the elements that left the range of its type, over samples (n, H, W, C) or (n, N)."""
        counts = {layer.name: 0 for layer in self._network.layers}
        for chunk in self._chunks(samples):
            self._evaluate(chunk, frozenset(), counts)
        return counts

    def _collect(self, samples: Floats, wanted: frozenset[str]) -> dict[str, Floats]:
        parts = [self._evaluate(chunk, wanted, {}) for chunk in self._chunks(samples)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _chunks(self, samples: Floats) -> list[Floats]:
        largest = max(int(np.prod(layer.shape)) for layer in self._network.layers)
        size = max(1, _CHUNK_VALUES // largest)
        return [np.asarray(samples[at : at + size], np.float64) for at in range(0, max(1, len(samples)), size)]

    def _evaluate(self, samples: Floats, wanted: frozenset[str], saturated: dict[str, int]) -> Mapping[str, Floats]:
        """Run one chunk; keep what is wanted, let the rest go after its last reader, count into ``saturated``."""
        last = {name: layer.name for layer in self._network.layers for name in layer.inputs}
        values = self._network.apart(samples)
        for layer in self._network.layers:
            types = self._precision[layer.name]
            inputs = [values[name] for name in layer.inputs]
            exact = _computed(layer, inputs, types) if inputs else values[layer.name]
            values[layer.name] = types.result.cast(exact)
            if saturated:
                saturated[layer.name] += _outside(exact, types.result)
            for name in {name for name in layer.inputs if last[name] == layer.name} - wanted:
                del values[name]
        return {name: values[name] for name in values if name in wanted}


def _computed(layer: Layer, inputs: list[Floats], types: Types) -> Floats:
    """Return a layer's value before it is brought onto its grid; all but means and tables is as in real numbers."""
    if isinstance(layer, Pooling) and layer.kind == "average" and types.accumulator is not None:
        return _mean(layer, inputs[0], types.accumulator)
    if isinstance(layer, Activation) and layer.kind in TABLES and types.weight is not None:
        return looked_up(layer.kind, inputs[0], types.weight, *layer.parameters)
    return compute(layer, inputs)


def _mean(layer: Pooling, value: Floats, accumulator: Fixed) -> Floats:
    """Divide integers towards zero, as ap_fixed does."""
    window = (layer.size, layer.strides, layer.pads)
    counts = window_counts((value.shape[1], value.shape[2]), *window)
    return np.asarray(np.trunc(window_sums(value, *window) / accumulator.step / counts) * accumulator.step)


def _outside(values: Floats, grid: Fixed) -> int:
    margin = grid.step / 2 if grid.rounds else 0.0
    above = values >= grid.high + grid.step - margin
    return int(np.count_nonzero(above | (values < grid.low - margin)))


def _check_widths(layer: Layer, types: Types, inputs: list[Fixed]) -> None:
    exact = [product_type(*inputs)] if isinstance(layer, Multiplication) else []
    grids = exact + [grid for grid in (types.result, types.weight, types.bias, types.accumulator) if grid is not None]
    widest = max(grid.width for grid in grids)
    if widest > EXACT_BITS:
        raise LoweringError(
            "cannot be emulated exactly",
            node_name=layer.source,
            op_type=type(layer).__name__,
            why=f"{widest} bits, over the {EXACT_BITS} that float64 sums exactly",
            hint="take fewer bits for weights or activations",
        )
