"""Gates are found by what they are made of, whatever the operators between are called."""

import pytest
from oracle import graph_of
from zoo import ZOO
from zoo.builder import Builder

from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.analysis.channels.squeeze_excite import gates


@pytest.mark.parametrize(
    ("name", "makers"),
    [
        ("se_residual", ["Sigmoid", "Unsqueeze"]),
        ("se_conv", ["Sigmoid"]),
        ("se_gemm_unsqueeze", ["Unsqueeze"]),
        ("se_gemm_reshape", ["Reshape"]),
        ("cbam_gate", ["Sigmoid"]),
        ("spatial_gate", []),
        ("mobilenet_v2", []),
    ],
)
def test_gates_of_the_zoo(name: str, makers: list[str]) -> None:
    graph = graph_of(ZOO[name]())
    tensors = graph.tensors()
    found = [tensors[gate].producer for gate in gates(graph, analyse(graph))]
    assert [node.op for node in found if node is not None] == makers


@pytest.mark.parametrize("pooled", ["own", "other"])
def test_a_ramp_will_do_and_means_of_another_map_will_not(pooled: str) -> None:
    b = Builder("ramp")
    x = b.input("x", ["N", 3, 8, 8])
    h, other = b.conv_relu(x, 6), b.conv_relu(x, 6)
    squeezed = b.conv(b.gap(h if pooled == "own" else other), 6, k=1)
    ramp = b.node("Clip", [b.add(squeezed, b.const(3.0)), b.const(0.0), b.const(6.0)])
    graph = graph_of(b.model(b.head(b.mul(b.node("Div", [ramp, b.const(6.0)]), h))))
    assert len(gates(graph, analyse(graph))) == (pooled == "own")
