"""Each layer in float64, on small cases worked out by hand, and the way between the layouts."""

import numpy as np
import pytest

from optimise_onnx.backends.hls import network as hls
from optimise_onnx.backends.hls.ports import Port
from optimise_onnx.backends.hls.reference import compute, run, run_tensors

X = np.array([[-2.0, -0.5, 0.0, 0.5, 8.0]])


@pytest.mark.parametrize(
    ("kind", "parameters", "wanted"),
    [
        ("relu", (), [0, 0, 0, 0.5, 8]),
        ("leaky_relu", (0.1,), [-0.2, -0.05, 0, 0.5, 8]),
        ("clip", (-1.0, 6.0), [-1, -0.5, 0, 0.5, 6]),
        ("elu", (2.0,), [2 * np.expm1(-2), 2 * np.expm1(-0.5), 0, 0.5, 8]),
        ("sigmoid", (), 1 / (1 + np.exp(-X[0]))),
        ("tanh", (), np.tanh(X[0])),
        ("softplus", (), np.log(1 + np.exp(X[0]))),
        ("softsign", (), [-2 / 3, -1 / 3, 0, 1 / 3, 8 / 9]),
    ],
)
def test_curves(kind: hls.Curve, parameters: tuple[float, ...], wanted: list[float]) -> None:
    layer = hls.Activation("a", ("x",), (5,), "a", kind, parameters)
    assert compute(layer, [X]) == pytest.approx(np.array([wanted]))


def test_a_network_of_every_other_layer() -> None:
    one = np.ones((1, 1, 2, 1))
    layers = (
        hls.Input("x", (), (1, 2, 2), "x"),
        hls.Convolution("conv", ("x",), (1, 2, 2), "conv", one * 3, np.array([1.0, 2.0]), depthwise=True),
        hls.Affine("affine", ("conv",), (1, 2, 2), "affine", np.array([2.0, 1.0]), np.array([0.0, -2.0])),
        hls.Addition("sum", ("x", "affine"), (1, 2, 2), "sum"),
        hls.Concatenation("both", ("sum", "x"), (1, 2, 4), "both"),
        hls.Pooling("pool", ("both",), (1, 1, 4), "pool", "average", (1, 2), (1, 2)),
        hls.Flatten("flat", ("both",), (8,), "flat"),
        hls.Dense("dense", ("flat",), (1,), "dense", np.arange(8.0)[:, None], np.array([0.5])),
    )
    values = run(hls.Network(layers, ("dense",)), np.array([[[[1.0, 2.0], [3.0, 4.0]]]]))
    assert values["conv"].ravel().tolist() == [4, 8, 10, 14]
    assert values["affine"].ravel().tolist() == [8, 6, 20, 12]
    assert values["both"].ravel().tolist() == [9, 8, 1, 2, 23, 16, 3, 4]
    assert values["pool"].ravel().tolist() == [16, 12, 2, 3]
    assert values["dense"].tolist() == [[np.dot(np.arange(8), values["flat"][0]) + 0.5]]


def test_ports_undo_each_other() -> None:
    places = np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1)
    port = Port("x", (2, 3, 4), places)
    x = np.random.default_rng(0).standard_normal((5, 4, 2, 3))
    assert (port.to_layer(x) == x.transpose(0, 2, 3, 1)).all()
    assert (port.to_tensor(port.to_layer(x)) == x).all()


def test_only_a_lowered_network_takes_tensors() -> None:
    with pytest.raises(ValueError, match="not lowered"):
        run_tensors(hls.Network((hls.Input("x", (), (2,), "x"),), ("x",)), {"x": np.zeros((1, 2))})
