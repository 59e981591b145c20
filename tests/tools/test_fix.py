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
from optimise_onnx.ir.errors import UnsupportedOpError, UsageError, VerificationError
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
    assert found.lines[:2] == (f"input 'x' takes [1, {length}, 4] now", f"input 'm' takes [M, {length}] now")


@pytest.mark.parametrize(
    ("values", "shapes", "said"),
    [
        ({"none": 1}, None, "no input 'none'"),
        ({"flag": "yes"}, None, "is no value"),
        ({"flag": 2}, None, "it holds bool"),
        ({"flag": [True]}, None, "does not fit"),
        ({"x": 0.5}, None, "one number does not fill"),
        ({"x": [[1.0]]}, None, "does not fit"),
        ({}, {"x": (1, 3, 8)}, "does not fit"),
        ({}, {"none": (1,)}, "of no input"),
    ],
)
def test_what_cannot_be_held_is_refused(values: dict[str, Any], shapes: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        optimise_onnx.fix(ZOO["if_branches"](), values, input_shapes=shapes)


def parsed(text: str, opset: int = 17) -> onnx.ModelProto:
    """Return a model written as ``(inputs) => (outputs) {…}``."""
    return onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> g {text}')


def test_sizes_that_contradict_are_refused_and_unnamed_ones_are_their_own() -> None:
    named = parsed("(float[N, L] x, float[N, L] b) => (float[N, L] y) { z = Abs (b) y = Neg (x) }")
    with pytest.raises(UsageError, match="L is 3 in one place and 4 in another"):
        optimise_onnx.fix(named, input_shapes={"x": (1, 3), "b": (1, 4)})
    open_shape = 'float["?", "?"]'
    ends = f"({open_shape} x, {open_shape} z) => ({open_shape} y, {open_shape} v)"
    marks = parsed(f"{ends} {{ y = Neg (x) v = Neg (z) }}")
    assert [t.shape for t in optimise_onnx.fix(marks, input_shapes={"x": (2, 5)}).inputs] == [(2, 5), ("?", "?")]


def test_a_value_settles_sizes_of_its_names_and_one_number_fills_sizes_that_are_given() -> None:
    model = parsed("(float[N, L] x, float[L, 4] b) => (float[N, 4] y) { y = MatMul (x, b) }")
    found = optimise_onnx.fix(model, {"b": np.ones((2, 4))})
    assert [t.shape for t in found.inputs] == [("N", 2)] and "MatMul" in [n.op for n in found.nodes]
    filled = optimise_onnx.fix(model, {"b": 0.5}, input_shapes={"b": (3, 4), "x": (8, 3)})
    assert [t.shape for t in filled.inputs] == [(8, 3)] and next(filled.constants()).array.shape == (3, 4)


def test_an_output_of_the_name_of_a_held_input_stays() -> None:
    model = parsed("(float[N] x, float s) => (float[N] y, float s) { y = Mul (x, s) }")
    found = optimise_onnx.fix(model, {"s": 0.5})
    assert [t.name for t in found.inputs] == ["x"] and [t.name for t in found.outputs] == ["y", "s"]
    y, s = outputs(found, {"x": np.ones(3, np.float32)})
    assert s == 0.5 and (y == 0.5).all()


@pytest.mark.parametrize(
    ("kind", "value"),
    [("string", "a"), ("int64", 2**70), ("uint8", -1), ("float16", 1e6), ("float", None), ("float", [None, 1.0]),
     ("float", 1j), ("float", float("nan")), ("float", 10**400), ("int64", 1.5)],
)  # fmt: skip
def test_values_are_held_exactly_or_not_at_all(kind: str, value: Any) -> None:
    model = parsed(f"(float[N] x, {kind} s) => (float[N] y, {kind} t) {{ y = Neg (x) t = Identity (s) }}")
    with pytest.raises(UsageError, match="is no value for input 's'"):
        optimise_onnx.fix(model, {"s": value})


def test_what_cannot_be_compared_is_refused() -> None:
    noisy = parsed("(float[N] x, float s) => (float[N] y) { r = RandomNormalLike (x) z = Mul (r, s) y = Add (x, z) }")
    with pytest.raises(UnsupportedOpError, match="no two runs can be compared"):
        optimise_onnx.fix(noisy, {"s": 0.5})
    undefined = parsed("(float[N] x, float s) => (float[N] y) { r = Log (x) z = Sqrt (r) y = Mul (z, s) }")
    beyond_one = np.full(4, 3, np.float32)
    assert len(optimise_onnx.fix(undefined, {"s": 0.5}, data={"x": beyond_one}).inputs) == 1
    partly = parsed("(float[N] x, float s) => (float[N] y) { r = Log (x) y = Mul (r, s) }")
    assert len(optimise_onnx.fix(partly, {"s": 0.5}).inputs) == 1
    never = parsed("(float[N] x, float s) => (float[N] y) { r = Sub (x, x) z = Div (r, r) y = Mul (z, s) }")
    with pytest.raises(VerificationError, match="NaN or infinite"):
        optimise_onnx.fix(never, {"s": 0.5})


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
    twice = {"--set flag=true --set flag=false": "is given two values"}
    for words, said in {"": "nothing is to be held", "--set flag": "says no input and value", **twice}.items():
        wrong = run("fix", "if.onnx", "two.onnx", *words.split())
        assert wrong.code == 2 and said in wrong.error and not (folder / "two.onnx").exists()
