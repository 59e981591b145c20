"""No exact pass makes a file larger: weights that subgraphs share, half precision, tables, scales of shared weights."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from optimise_onnx.passes.cleanup.batch_norm import FoldBatchNorm
from optimise_onnx.passes.cleanup.constants import FoldConstants
from optimise_onnx.passes.cleanup.dead import RemoveDeadChannels
from optimise_onnx.tools import api
from tests.oracle import Graph, distance, graph_of
from tests.zoo.builder import Builder

from .support import applied, build, checked, normal, ops, shape


def size(graph: Graph) -> int:
    return graph.written_bytes()


def tied(twice: bool) -> Graph:
    """Branches that read one weight of the outer graph, which reads it itself too where asked."""
    b = Builder("tied")
    h = b.gemm(b.input("x", ["N", 16]), 32)
    weight = b.weight([32, 64])
    value = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    graphs = []
    for op in ("Relu", "Neg"):
        nodes = [helper.make_node("MatMul", [h, weight], ["mid"]), helper.make_node(op, ["mid"], ["out"])]
        graphs.append(helper.make_graph(nodes, op, [], [value]))
    y = b.node("If", [b.input("flag", [], np.bool_)], then_branch=graphs[0], else_branch=graphs[1])
    return graph_of(b.model(b.node("Add", [y, b.node("MatMul", [h, weight])]) if twice else b.node("Abs", [y])))


@pytest.mark.parametrize("twice", [False, True])
def test_a_weight_that_branches_share_stays_one(twice: bool) -> None:
    graph = tied(twice)
    result, _ = applied(graph.copy().copy(), FoldConstants(), RemoveDeadChannels())
    model = result.to_model()
    assert size(result) < 4 * (16 * 32 + 32 + 32 * 64) + 2000
    assert sum(np.prod(tensor.dims) == 32 * 64 for tensor in model.graph.initializer) == 1
    for flag in (True, False):
        inputs = {"x": normal(3, 16), "flag": np.array(flag)}
        assert distance(graph, result, inputs) < 1e-6


def halves() -> Graph:
    text = """(float[N, 3, 6, 6] x) => (float[N, 4, 6, 6] y) {
        u = Cast<to = 1>(w) c = Cast<to = 1>(b) v = Cast<to = 1>(m)
        a = Conv(x, u, c) r = Relu(a) z = Conv(r, k, c) s = Relu(z) y = Conv(s, v)
    }"""
    w, b = normal(8, 3, 1, 1).astype(np.float16), np.zeros(8, np.float16)
    w[[1, 2]] = 0
    weights = {"w": w, "b": b, "m": normal(4, 8, 1, 1).astype(np.float16), "k": normal(8, 8, 1, 1)}
    return build(text, weights)


def test_half_precision_behind_a_cast_stays_and_loses_channels() -> None:
    """The bias, which two layers read through one Cast, ties nothing."""
    graph = halves()
    result, _ = applied(graph, FoldConstants(), RemoveDeadChannels())
    kinds = {tensor.name: tensor.array.dtype for tensor in result.constants()}
    assert kinds["w"] == kinds["m"] == np.float16
    assert shape(result, "w") == (6, 3, 1, 1) and shape(result, "k") == (8, 6, 1, 1)
    assert distance(graph, result, {"x": normal(2, 3, 6, 6)}) < 1e-5


def table(length: int) -> Graph:
    text = f"""(float[N, 4, {length}] x) => (float[N, 4, {length}] y) <int64[2] form = {{{length}, {length}}}> {{
        ones = ConstantOfShape(form) mask = Trilu(ones) y = MatMul(x, mask)
    }}"""
    return build(text)


def test_a_large_table_is_computed_and_a_small_one_stored() -> None:
    checked(table(600), FoldConstants(), {"x": normal(2, 4, 600)}, changes=False)
    assert ops(checked(table(200), FoldConstants(), {"x": normal(2, 4, 200)})) == ["MatMul"]


def test_many_tables_together_are_large() -> None:
    text = "(float[N, 4, 200] x) => (float[N, 4, 200] y) <int64[2] form = {200, 200}> { ones = ConstantOfShape(form)"
    last = "x"
    for number in range(8):
        text += f" mask{number} = Trilu<upper = {number % 2}>(ones) h{number} = MatMul({last}, mask{number})"
        last = f"h{number}"
    checked(build(f"{text} y = Relu({last}) }}"), FoldConstants(), {"x": normal(2, 4, 200)}, changes=False)


def test_a_weight_is_not_copied_to_save_a_scale() -> None:
    text = """(float[N, 3, 6, 6] x) => (float[N, 8, 6, 6] y, float[N, 8, 6, 6] z) {
        a = Conv(x, w) y = BatchNormalization(a, g, b, m, v) c = Neg(x) z = Conv(c, w)
    }"""
    weights = {"w": normal(8, 3, 1, 1), "g": normal(8), "b": normal(8), "m": normal(8), "v": np.ones(8)}
    checked(build(text, weights), FoldBatchNorm(), {"x": normal(2, 3, 6, 6)}, changes=False)


def test_the_report_counts_bytes_of_files(tmp_path: Path) -> None:
    b = Builder("written")
    h = b.conv_relu(b.conv_relu(b.input("x", ["N", 3, 8, 8]), 16), 16)
    onnx.save(b.model(b.head(h, 5)), tmp_path / "in.onnx")
    found = api.compress(tmp_path / "in.onnx", target="macs=0.7x", align=1, cache=False)
    given = (tmp_path / "in.onnx").stat().st_size
    assert found.report.before.bytes == pytest.approx(given, abs=200)
    assert found.report.after.bytes == len(found.model.SerializeToString())
    assert found.report.after.bytes < found.report.before.bytes
