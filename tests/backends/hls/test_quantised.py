"""Networks that bring their types: the emulator gives what the model says to the last bit."""

from collections.abc import Callable
from functools import partial

import numpy as np
import onnx
import pytest
from oracle import graph_of

from optimise_onnx.backends.hls import reference
from optimise_onnx.backends.hls.calibrate import calibrated
from optimise_onnx.backends.hls.emulator import Emulator
from optimise_onnx.backends.hls.lowering import lower, quantises, without_quantisers
from optimise_onnx.backends.hls.network import Input, Network
from optimise_onnx.backends.hls.precision import Precision
from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.errors import LoweringError

from . import quantised
from .execution import execution

MADE: dict[str, Callable[[], onnx.ModelProto]] = {
    "1 bit": partial(quantised.plain, 1),
    "2 bits": partial(quantised.plain, 2),
    "4 bits": partial(quantised.plain, 4),
    "8 bits": partial(quantised.plain, 8),
    "residual": quantised.residual,
    "depthwise": quantised.separable,
    "scales of channels": partial(quantised.per_channel, True),
    "scales that are no powers of two": partial(quantised.per_channel, False),
    "batch norm": quantised.normalised,
}


def typed(model: onnx.ModelProto, x: np.ndarray) -> tuple[Network, Precision]:
    network = lower(graph_of(model))
    (source,) = (layer for layer in network.layers if isinstance(layer, Input))
    assert source.port is not None
    return calibrated(network, source.port.to_layer(x), 4, 4)


@pytest.mark.parametrize("name", MADE)
def test_the_emulator_gives_what_the_model_says(name: str) -> None:
    """Widths that were asked for, 4 bits, hold for nothing here."""
    model, x = MADE[name](), quantised.on_grid(40)
    network, precision = typed(model, x)
    source = network.layers[0]
    values = Emulator(network, precision).run(source.port.to_layer(x))
    (wanted,) = OrtRunner(1).session(graph_of(model)).run({"x": x}).values()
    (output,) = values
    np.testing.assert_allclose(values[output], wanted, rtol=0, atol=2e-6 * np.abs(wanted).max())
    assert np.ptp(wanted) > 0


@pytest.mark.parametrize("name", MADE)
def test_quantisers_run_as_qonnx_runs_them(name: str) -> None:
    x = quantised.on_grid(1)
    (ours,) = OrtRunner(1).session(graph_of(MADE[name]())).run({"x": x}).values()
    (theirs,) = execution(MADE[name](), x)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-6 * np.abs(theirs).max())


def rounded(scale: float, zero: float, dtype: type, clip: tuple[int, int] | None = None) -> onnx.ModelProto:
    """A product of what QuantizeLinear and DequantizeLinear round."""
    b = quantised.Quantised("rounded", opset=13)
    parameters = [b.const(np.float32(scale)), b.const(np.asarray(zero, dtype))]
    codes = b.node("QuantizeLinear", [b.input("x", ["N", 6]), *parameters])
    if clip is not None:
        codes = b.node("Clip", [codes, *(b.const(np.asarray(end, dtype)) for end in clip)])
    return b.model(b.gemm(b.node("DequantizeLinear", [codes, *parameters]), 3))


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        (rounded(0.25, 0, np.int8), "fixed<8,6,RND_CONV,SAT>"),
        (rounded(0.25, 128, np.uint8), "fixed<8,6,RND_CONV,SAT>"),
        (rounded(4.0, 0, np.uint8), "ufixed<8,10,RND_CONV,SAT>"),
        (rounded(0.25, 0, np.int8, (-7, 7)), "fixed<4,2,RND_CONV,SAT_SYM>"),
        (rounded(0.25, 0, np.int8, (-8, 7)), "fixed<4,2,RND_CONV,SAT>"),
    ],
)
def test_scales_that_are_powers_of_two_are_types(model: onnx.ModelProto, wanted: str) -> None:
    x = (np.random.default_rng(0).integers(-400, 400, (64, 6)) / 8).astype(np.float32)
    network, precision = typed(model, x)
    assert [str(network.layers[0].grid), len(network.layers)] == [wanted, 2]
    given = reference.run(network, x)[network.layers[0].name]
    (node,) = (node for node in graph_of(model).nodes if node.op == "DequantizeLinear")
    session = OrtRunner(1).session(graph_of(model), outputs=[node.outputs[0].name])
    np.testing.assert_array_equal(given, next(iter(session.run({"x": x}).values())))
    assert str(precision[network.layers[0].name].result) == wanted


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (rounded(0.1, 0, np.int8), "its scale 0.1 is no power of two"),
        (rounded(0.25, 3, np.uint8), "no type has the 256 values from -3 to 252"),
        (rounded(0.25, 0, np.int8, (-5, 7)), "no type has the 13 values from -5 to 7"),
    ],
)
def test_other_quantisers_are_refused_and_can_be_left_out(model: onnx.ModelProto, why: str) -> None:
    graph = graph_of(model)
    with pytest.raises(LoweringError, match=why) as raised:
        lower(graph)
    assert "--recalibrate" in str(raised.value.hint)
    plain = without_quantisers(graph)
    assert [node.op for node in plain.nodes] == ["Gemm"]
    assert not lower(plain).typed and lower(graph_of(rounded(0.5, 0, np.int8))).typed


def test_a_quantised_output_keeps_its_name() -> None:
    b = quantised.Quantised("end", opset=13)
    model = b.model(b.quant(b.scores(b.picture(), 4), 8, 0.3))
    plain = without_quantisers(graph_of(model))
    assert [tensor.name for tensor in plain.outputs] == [tensor.name for tensor in model.graph.output]
    assert not any(quantises(node) for node in plain.nodes)
    lower(plain)


def test_what_has_no_type_is_refused() -> None:
    b = quantised.Quantised("signs", opset=13)
    with pytest.raises(LoweringError, match="it makes signs of values"):
        lower(graph_of(b.model(b.bipolar(b.input("x", ["N", 4]), 1.0))))
    b = quantised.Quantised("both", opset=13)
    x = b.quant(b.input("x", ["N", 4]), 4, 0.25)
    network = lower(graph_of(b.model(b.gemm(b.add(x, b.quant(x, 2, 0.5)), 3))))
    assert [str(layer.grid) for layer in network.layers[:2]] == [
        "fixed<4,2,RND_CONV,SAT>",
        "fixed<2,1,RND_CONV,SAT>",
    ]


def test_a_network_of_unsigned_values_under_padded_maxima() -> None:
    b = quantised.Quantised("padded", opset=13)
    x = b.rectified(b.layer(b.picture(), 4, 4))
    model = b.model(b.scores(b.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), 4))
    x = quantised.on_grid(8)
    network, precision = typed(model, x)
    assert str(precision["relu_0"].result) == "fixed<5,2,RND_CONV,SAT>"
    (values,) = Emulator(network, precision).run(network.layers[0].port.to_layer(x)).values()
    (wanted,) = OrtRunner(1).session(graph_of(model)).run({"x": x}).values()
    np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-6)
