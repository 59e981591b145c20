"""Quantising in the end: both steps told apart, what cannot be quantised is refused before any work."""

import io
from typing import Any

import numpy as np
import onnx
import pytest
from rich.console import Console
from zoo import feeds
from zoo.builder import Builder

from optimise_onnx import compress
from optimise_onnx.ir.errors import UsageError
from optimise_onnx.tools import table


def network() -> onnx.ModelProto:
    b = Builder("network")
    h = b.conv_relu(b.conv_relu(b.input("x", ["N", 3, 8, 8]), 12), 16)
    return b.model(b.head(h, 5))


def test_the_report_tells_prune_quantise_and_both() -> None:
    samples = feeds(network(), 0, 96)["x"]
    result = compress(network(), target="macs=0.6x", data={"x": samples}, quantise="int8", guard=False, align=1)
    kinds = {node.op_type for node in result.model.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear", "Conv"} <= kinds
    ends = [*result.model.graph.input, *result.model.graph.output]
    assert [tensor.type.tensor_type.elem_type for tensor in ends] == [onnx.TensorProto.FLOAT] * 2
    assert [stage.name for stage in result.report.stages] == ["prune", "quantise", "both"]
    prune, quantise, both = result.report.stages
    assert both.bytes == result.report.after.bytes == len(result.model.SerializeToString())
    assert both.fidelity is result.report.fidelity
    errors = [next(iter(stage.fidelity.told.values())).error for stage in (prune, quantise)]
    assert errors[1] is not None and errors[0] is not None and 0 < errors[1] < errors[0]
    shown = Console(file=io.StringIO(), width=120)
    shown.print(table.stages(result.report))
    lines = shown.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert [line.split()[0] for line in lines if "kB" in line] == ["prune", "quantise", "both"]
    assert [stage["name"] for stage in result.report.to_json()["stages"]] == ["prune", "quantise", "both"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"quantise": "int3"}, "quantise='int3' is unknown"),
        ({"quantise": "int8"}, "quantising needs data"),
        ({"quantise": "int8", "data": {"x": np.zeros((8, 3, 8, 8), np.float32)}}, "quantised already"),
    ],
)
def test_what_cannot_be_quantised(options: dict[str, Any], said: str) -> None:
    b = Builder("codes")
    codes = b.node("DequantizeLinear", [b.const(np.ones((4, 3, 1, 1), np.int8)), b.const(np.float32(0.1))])
    model = b.model(b.conv_with(b.input("x", ["N", 3, 8, 8]), [codes]))
    with pytest.raises(UsageError, match=said):
        compress(model, target="macs=0.5x", **options)
