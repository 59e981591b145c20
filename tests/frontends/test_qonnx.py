"""Networks in QONNX's form lose channels: weights behind quantisers are sliced, and their scales with them."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest

import optimise_onnx
from optimise_onnx.backends.hls.lowering import lower
from optimise_onnx.ir.errors import InvalidModelError
from optimise_onnx.ir.qonnx import DOMAIN, Levels
from tests.backends.hls import quantised


@pytest.mark.parametrize("made", [quantised.residual, lambda: quantised.per_channel(False)])
def test_compress_slices_scales(made: Callable[[], onnx.ModelProto]) -> None:
    result = optimise_onnx.compress(made(), target="macs=0.7x", data={"x": quantised.on_grid(64)})
    model = result.graph.to_model()
    onnx.checker.check_model(model)
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    kernels = [node.input for node in model.graph.node if node.domain == DOMAIN and node.input[0].startswith("weight")]
    assert len(kernels) >= 2 and any(shapes[names[0]][0] < 4 for names in kernels)
    assert all(shapes[names[1]] in ((), (shapes[names[0]][0], 1, 1, 1)) for names in kernels)
    assert lower(result.graph).typed


def test_levels() -> None:
    def ends(**attributes: object) -> list[float]:
        found = Levels.of(f"{DOMAIN}.Quant", attributes, np.float32(4))
        return [float(found.low), float(found.high)]

    assert [ends(signed=1), ends(signed=1, narrow=1)] == [[-8, 7], [-7, 7]]
    assert [ends(signed=0), ends(signed=0, narrow=1)] == [[0, 15], [0, 14]]
    with pytest.raises(InvalidModelError, match="rounds by 'UP'"):
        ends(rounding_mode="UP")
