"""Programs: weights as inputs, outputs under chosen names, and graphs of old operator sets."""

import numpy as np
import onnx
import pytest
from derivatives import spread
from derivatives.differences import RUNNER, agree
from oracle import graph_of
from zoo import ZOO, feeds
from zoo.builder import Builder

from optimise_onnx.ir.adjoint.program import Program, raised
from optimise_onnx.ir.adjoint.sheet import OPSET
from optimise_onnx.ir.errors import UnsupportedOpError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.shapes import concrete, input_sizes

SHAPES = {"x": (2, 3)}


def line() -> Graph:
    """``y = x w + b``."""
    b = Builder("line")
    return graph_of(b.model(b.node("Gemm", [b.input("x", ["N", 3]), b.const(spread(3, 2)), b.const(spread(2))])))


def test_a_step_changes_no_session() -> None:
    graph = line()
    weight = next(graph.constants()).name
    program = Program(graph, concrete(graph, SHAPES), [weight])
    session = RUNNER.session(program.graph({"value": graph.outputs[0].name}))
    x = spread(2, 3)
    zero, one = (session.run({"x": x, weight: np.full((3, 2), v, np.float32)})["value"] for v in (0, 1))
    np.testing.assert_allclose(one - zero, np.repeat(x.sum(1, keepdims=True), 2, 1), rtol=1e-5)


def test_an_output_may_keep_its_name() -> None:
    graph = line()
    name = graph.outputs[0].name
    program = Program(graph, concrete(graph, SHAPES))
    found = program.graph({name: name, "again": name})
    assert [t.name for t in found.outputs] == [name, "again"]
    assert RUNNER.session(found).run({"x": spread(2, 3)}).keys() == {name, "again"}


def test_the_graph_given_stays_as_it_is() -> None:
    graph = line()
    before = graph.to_model().SerializeToString(deterministic=True)
    program = Program(graph, concrete(graph, SHAPES), [t.name for t in graph.constants()])
    program.backward({graph.outputs[0].name: program.input("slope", (2, 2))})
    assert graph.to_model().SerializeToString(deterministic=True) == before


LEGACY = [
    "clip_attribute",
    "legacy_opset7",
    "resize_opset10",
    "slice_pad_attribute",
    "softmax_coerced",
    "split_attribute",
    "squeeze_attribute",
    "upsample_opset9",
]


@pytest.mark.parametrize("name", LEGACY)
def test_gradients_of_old_operator_sets_are_right(name: str) -> None:
    model = ZOO[name]()
    graph = graph_of(model)
    assert graph.opset < OPSET == raised(graph).opset
    weights = [t.name for t in graph.constants() if t.dtype == np.float32 and t.array.ndim > 1]
    agree(graph.to_model(), feeds(model, seed=0), weights)


def test_a_graph_that_cannot_be_raised_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> onnx.ModelProto:
        raise RuntimeError("no adapter\nmore")

    monkeypatch.setattr("onnx.version_converter.convert_version", refuse)
    model = ZOO["legacy_opset7"]()
    graph = graph_of(model)
    with pytest.raises(UnsupportedOpError, match="operator set 18.*no adapter$"):
        Program(graph, concrete(graph, input_sizes(graph, 1)))
