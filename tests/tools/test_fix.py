"""Inputs and sizes that are held become part of the model, and the branches that they decide are written out."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from oracle import run as outputs
from zoo import ZOO, feeds

import optimise_onnx
from optimise_onnx.ir.errors import UsageError
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.tools.fixing import fixed

from .conftest import Run


@pytest.mark.parametrize("flag", [True, False])
def test_a_branch_that_an_input_decides_is_written_out(flag: bool) -> None:
    model = ZOO["if_branches"]()
    graph = optimise_onnx.fix(model, {"flag": flag})
    assert "If" not in [node.op for node in graph.nodes] and [t.name for t in graph.inputs] == ["x"]
    x = feeds(model, 0)["x"]
    wanted = outputs(optimise_onnx.load(model), {"x": x, "flag": np.array(flag)})
    for got, want in zip(outputs(graph, {"x": x}), wanted, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    assert any(group.width > 1 for group in analyse(graph).groups)


def by_size() -> onnx.ModelProto:
    """A layer that only runs where there are four samples or more in a row."""
    return onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[N, L, 4] x, float[M, L] m) => (float[N, L, 4] y)'
        "<int64 four = {4}, float[4, 4] w = {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7}> {"
        " l = Shape <start = 1, end = 2> (x) c = Less (l, four) k = ReduceSum <keepdims = 0> (m) z = Mul (x, k)"
        " y = If (c) <then_branch = yes () => (float[N, L, 4] a) { a = Identity (z) },"
        " else_branch = no () => (float[N, L, 4] a) { b = MatMul (z, w) a = Relu (b) }> }"
    )


@pytest.mark.parametrize(("length", "ops"), [(3, set()), (4, {"MatMul", "Relu"})])
def test_a_size_that_is_held_decides_too_and_holds_wherever_it_is_named(length: int, ops: set[str]) -> None:
    found = fixed(by_size(), {}, {"x": (1, length, 4)})
    assert {"MatMul", "Relu", "If"} & {node.op for node in found.graph.nodes} == ops
    written = optimise_onnx.load(found.graph.to_model())
    assert [t.shape for t in written.inputs] == [(1, length, 4), ("M", length)]
    assert [t.shape for t in written.outputs] == [(1, length, 4)]
    assert found.lines[0] == f"input 'x' takes 1x{length}x4 and nothing else now"


@pytest.mark.parametrize(
    ("values", "shapes", "said"),
    [
        ({"none": 1}, None, "no input 'none'"),
        ({"flag": "yes"}, None, "is no value"),
        ({"flag": 2}, None, "it holds bool"),
        ({"flag": [True]}, None, "has shape"),
        ({"x": 0.5}, None, "has shape"),
        ({}, {"x": (1, 3, 8)}, "does not fit"),
        ({}, {"none": (1,)}, "of no input"),
    ],
)
def test_what_cannot_be_held_is_refused(values: dict[str, Any], shapes: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        optimise_onnx.fix(ZOO["if_branches"](), values, input_shapes=shapes)


def test_something_is_left_to_read() -> None:
    model = ZOO["if_branches"]()
    with pytest.raises(UsageError, match="no input would be left"):
        optimise_onnx.fix(model, {"flag": True, "x": np.zeros((1, 3, 8, 8))})


def test_the_command_writes_the_model_and_says_what_changed(folder: Path, run: Callable[..., Run]) -> None:
    onnx.save(ZOO["if_branches"](), folder / "if.onnx")
    found = run("fix", "if.onnx", "one.onnx", "--set", "flag=true", "--json", "f.json")
    assert (found.code, found.err) == (0, "") and "part of the model now: flag" in found.out
    assert json.loads((folder / "f.json").read_text())["held"] == {"flag": True}
    assert run("compress", "one.onnx", "small.onnx", "--target", "macs=0.6x", "--no-guard").code == 0
    for words, said in {"": "nothing is to be held", "--set flag": "says no input and value"}.items():
        wrong = run("fix", "if.onnx", "two.onnx", *words.split())
        assert wrong.code == 2 and said in wrong.error and not (folder / "two.onnx").exists()
