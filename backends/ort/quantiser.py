"""onnxruntime's own static quantiser: a float graph to one of 8-bit codes, on scales from samples."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import onnx

from ...ir.errors import UnsupportedOpError
from ...ir.feeds import Calibration, batch_size
from ...ir.graph import Graph
from ...ir.scratch import scratch

_BATCH = 16
_PER_AXIS = 13  # the operator set since which DequantizeLinear takes scales along an axis


def quantised(graph: Graph, samples: Calibration) -> Graph:
    """Return a copy in QDQ form: 8-bit weights with a scale an output channel, activations with one, least to largest.

    Inputs and outputs stay floats. Raises UnsupportedOpError where onnxruntime cannot quantise the graph.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """Hands out the samples batch by batch."""

        def __init__(self) -> None:
            self.batches = samples.batches(batch_size(graph, _BATCH))

        def get_next(self) -> Any:
            """Return the next batch, None at the end."""
            return next(self.batches, None)

    with scratch() as folder, _silent():
        source, result = str(folder / "float.onnx"), str(folder / "int8.onnx")
        onnx.save(graph.to_model(), source)
        options = {"quant_format": QuantFormat.QDQ, "per_channel": graph.opset >= _PER_AXIS}
        try:
            quantize_static(source, result, Reader(), **options)
        except Exception as error:
            why, hint = str(error).partition("\n")[0] or type(error).__name__, "leave out --quantise"
            raise UnsupportedOpError("onnxruntime cannot quantise this model", why=why, hint=hint) from error
        made = Graph.of(onnx.load(result))
    made.sizes = graph.sizes
    left = {node.name for node in made.nodes}
    made.metadata = {name: noted for name, noted in graph.metadata.items() if name in left}
    return made


@contextmanager
def _silent() -> Iterator[None]:
    """Keep the quantiser's advice to itself: what it asks for has been done before."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(level)
