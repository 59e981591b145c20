"""What hls4ml is given: the shapes, names and types that it relies on."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from optimise_onnx.backends.hls.calibrate import calibrated
from optimise_onnx.backends.hls.configuration import Options, configuration
from optimise_onnx.backends.hls.cost.settings import Setting, buildable
from optimise_onnx.backends.hls.dialect import CHANNELS_LAST, dialect
from optimise_onnx.ir.errors import LoweringError

from .networks import MADE, Maker, curved, plain, residual, samples, separable


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_every_tensor_has_a_shape(make) -> None:
    model = dialect(make())
    known = {value.name for value in [*model.graph.input, *model.graph.output, *model.graph.value_info]}
    assert {name for node in model.graph.node for name in [*node.input, *node.output]} == known
    assert model.ir_version == 10


def test_maps_are_channels_last_and_vectors_are_plain() -> None:
    domains = {node.name: node.domain for node in dialect(residual()).graph.node}
    assert domains["c1"] == domains["n"] == domains["g"] == CHANNELS_LAST
    assert domains["d"] == domains["r1"] == ""


def test_kernels_are_stored_as_hls4ml_reads_them() -> None:
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in dialect(separable()).graph.initializer}
    layers = separable().by_name
    assert stored["c1_w"].shape == (4, 3, 3, 1)
    np.testing.assert_array_equal(stored["c2_w"][5, 0, 0, 3], layers["c2"].kernel[0, 0, 3, 5])  # type: ignore[attr-defined]


def test_outputs_come_in_the_order_of_the_layers() -> None:
    assert [value.name for value in dialect(separable()).graph.output] == ["r2", "r3", "p2"]


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_the_same_network_gives_the_same_bytes(make) -> None:
    assert dialect(make()).SerializeToString(deterministic=True) == dialect(make()).SerializeToString(
        deterministic=True
    )


def test_overlapping_pooling_does_not_stream() -> None:
    net = Maker((8, 8, 2))
    net.pool("p", "x", "max", 2, stride=1)
    network, precision = calibrated(net.network("p"), samples(net.network("p"), 2), 8, 8)
    with pytest.raises(LoweringError, match="pooling 'p'"):
        configuration(network, precision, Options())
    assert configuration(network, precision, Options(io_type="io_parallel"))


@pytest.mark.parametrize(
    ("backend", "make", "source"),
    [("Quartus", residual, "g"), ("Quartus", separable, "c1"), ("Catapult", residual, "g"), ("Catapult", curved, "s")],
)
def test_what_a_backend_gets_wrong_is_refused(backend, make, source: str) -> None:
    network, precision = calibrated(make(), samples(make(), 2), 8, 8)
    with pytest.raises(LoweringError, match=f"'{source}'"):
        configuration(network, precision, Options(backend=backend))


def test_parallel_depthwise_convolutions_are_refused_where_they_come_out_wrong() -> None:
    network, precision = calibrated(separable(), samples(separable(), 2), 8, 8)
    with pytest.raises(LoweringError, match="another depthwise convolution in parallel"):
        configuration(network, precision, Options(backend="Catapult", io_type="io_parallel"))


@pytest.mark.parametrize(("wanted", "valid"), [(1, 1), (5, 4), (12, 12), (20, 24), (10**6, 48)])
def test_reuse_is_brought_to_one_that_divides(wanted: int, valid: int) -> None:
    net = Maker((12,))
    net.dense("d", "x", 4)
    assert buildable(net.layers[-1], Setting(wanted, "resource")) == Setting(valid, "resource")


def test_a_bias_stays_outside_where_the_product_is_rounded() -> None:
    network, precision = calibrated(plain(), samples(plain(), 8), 8, 8)
    layers = configuration(network, precision, Options())["LayerName"]
    assert layers["d1"]["Precision"]["result"] == "auto"
    assert layers["d2"]["Precision"]["result"] == str(precision["d2"].accumulator)
    assert layers["d2_bias"]["Precision"]["result"] == str(precision["d2"].result)
    operators = {node.name: node.op_type for node in dialect(network).graph.node}
    assert (operators["d1_bias"], operators["d2_bias"]) == ("Add", "BatchNormalization")


def test_the_model_is_readable() -> None:
    assert onnx.load_model_from_string(dialect(plain()).SerializeToString()).graph.name == "network"
