"""The predictor end to end on small networks, the table's file, and the correction."""

import json
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from oracle import graph_of
from zoo.builder import Builder

from optimise_onnx.backends.latency import predictor as module
from optimise_onnx.backends.latency.alignment import alignment
from optimise_onnx.backends.latency.correction import NODE, RUN, corrected, features, fitted
from optimise_onnx.backends.latency.execution import Execution, key, machine
from optimise_onnx.backends.latency.kernels import Kernels
from optimise_onnx.backends.latency.lowering import block_size, lowered
from optimise_onnx.backends.latency.predictor import Predictor
from optimise_onnx.backends.latency.table import Curve, Table
from optimise_onnx.backends.latency.units import Unit, form_of, operator
from optimise_onnx.ir.cache_folder import CacheWarning
from optimise_onnx.ir.errors import InvalidModelError
from optimise_onnx.ir.graph import Graph


def network(width: int, batch: int = 1) -> Graph:
    """Two convolutions with a residual sum, pooling, a slice and a matrix product."""
    b = Builder("latency")
    x = b.conv_relu(b.input("x", [batch, 3, 12, 12]), 32)
    y = b.relu(b.node("Add", [x, b.conv(b.conv_relu(x, width), 32)]))
    return graph_of(b.model(b.gemm(b.flatten(b.node("GlobalAveragePool", [y])), 10)))


@pytest.fixture
def learnt(tmp_path: Path) -> Predictor:
    return Predictor.learn(network(32), [network(16), network(13)], folder=tmp_path)


def test_a_graph_becomes_fused_units() -> None:
    units = [unit for unit, _ in lowered(network(32), Execution())]
    assert all(time > 0 for _, time in lowered(network(32), Execution()))
    operators = [operator(unit.kind).rpartition(".")[2] for unit in units]
    assert "Relu" not in operators or block_size("CPUExecutionProvider") == 1
    assert sum("Conv" in name for name in operators) == 3
    gemm = next(unit for unit in units if operator(unit.kind) == "Gemm")
    assert gemm.widths == (32, 10)


def test_every_unit_of_the_network_is_measured_alone() -> None:
    units = {unit for unit, _ in lowered(network(13), Execution()) if form_of(unit) is not None}
    found = Kernels(Execution(), 2**20).measure(list(units))
    assert found.keys() == units
    assert all(time > 0 for time in found.values())


def test_refused_units_are_left_out() -> None:
    good = next(unit for unit, _ in lowered(network(13), Execution()) if operator(unit.kind) == "Gemm")
    bad = Unit(good.kind.replace('"Gemm"', '"NoSuchOperator"'), good.widths)
    assert Kernels(Execution(), 2**20).measure([bad, good]).keys() == {good}


def test_more_work_is_predicted_to_take_longer(learnt: Predictor) -> None:
    assert 0 < learnt.times([network(1)])[0] < learnt.times([network(512)])[0]


def test_what_is_known_is_not_measured_again(
    learnt: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Sequence[float]:
        raise AssertionError("measured again")

    monkeypatch.setattr(Kernels, "measure", refuse)
    monkeypatch.setattr(module, "interleaved", refuse)
    again = Predictor.learn(network(32), [network(16), network(13)], folder=tmp_path)
    assert again.table.corrections == learnt.table.corrections
    assert again.times([network(16)])[0] > 0


def test_a_kind_that_is_new_is_measured_when_it_is_met(learnt: Predictor) -> None:
    before = len(learnt.table.curves)
    assert learnt.times([network(32, batch=2)])[0] > 0
    assert len(learnt.table.curves) > before


def test_the_table_is_a_readable_file(learnt: Predictor, tmp_path: Path) -> None:
    (path,) = (tmp_path / "latency").iterdir()
    content = json.loads(path.read_text())
    assert content["identity"]["processor"] == machine()["processor"]
    assert content["identity"]["threads"] == "1"
    assert content["curves"].keys() == learnt.table.curves.keys()


def test_targets_have_tables_of_their_own() -> None:
    targets = [Execution(), Execution(threads=2), Execution(batch=8)]
    assert len({key(target.identity()) for target in targets}) == 3


KIND = json.dumps({"domain": "", "op": "One"})


@pytest.mark.parametrize(
    "content",
    [
        '{"identity"', "", "[]", "null", "12", '{"curves": 1}', '{"curves": {}, "moved": {}}',
        '{"curves": {}, "moved": {"a": {"x": 1}}, "corrections": {}}',
        '{"curves": {}, "moved": {"a": {"4": "soon"}}, "corrections": {}}',
        '{"curves": {}, "moved": {"a": {}}, "corrections": {}}',
        '{"curves": {}, "moved": {"a": {"4": -1}}, "corrections": {}}',
        '{"curves": {}, "moved": {}, "corrections": {"n": {"Conv": NaN}}}',
        '{"curves": {"no kind": {"high": [1], "seconds": {"1": 1}}}, "moved": {}, "corrections": {}}',
        json.dumps({"curves": {KIND: {"high": [64], "seconds": {"1": 1}}}, "moved": {}, "corrections": {}}),
        "[" * 100_000, "\udcff",
    ],
)  # fmt: skip
def test_a_damaged_table_is_made_anew(tmp_path: Path, content: str) -> None:
    table = Table.open(Execution(), 1, 16, tmp_path)
    assert table.path is not None
    table.path.parent.mkdir()
    table.path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.warns(CacheWarning, match="measured anew"):
        found = Table.open(Execution(), 1, 16, tmp_path)
    assert not found.curves and not found.moved and not found.corrections
    with warnings.catch_warnings(action="ignore"):
        found.save()
    with warnings.catch_warnings(action="error"):
        Table.open(Execution(), 1, 16, tmp_path)


def test_a_table_that_cannot_be_written_is_kept_for_the_run(tmp_path: Path) -> None:
    (tmp_path / "latency").write_text("in the way")
    with pytest.warns(CacheWarning, match="cannot be"):
        table = Table.open(Execution(), 1, 16, tmp_path)
        table.moved["a"] = {1: 1.0}
        table.save()
    assert table.moved == {"a": {1: 1.0}}


def test_two_writers_keep_each_others_rows(tmp_path: Path) -> None:
    kinds = [Unit(KIND.replace("One", op), (1,)).kind for op in ("One", "Two")]
    tables = [Table.open(Execution(), 1, 16, tmp_path) for _ in kinds]
    for table, kind in zip(tables, kinds, strict=True):
        table.curves[kind] = Curve((1,), {(1,): 1.0})
        table.save()
    assert Table.open(Execution(), 1, 16, tmp_path).curves.keys() == set(kinds)


def test_what_onnxruntime_refuses_is_an_error() -> None:
    graph = network(32)
    graph.node(graph.nodes[0].name).set_op("NoSuchOperator")
    with pytest.raises(InvalidModelError):
        lowered(graph, Execution())


def test_the_correction_is_found_again() -> None:
    rng = np.random.default_rng(0)
    rows = [features([("Conv", float(rng.uniform(1e-3, 3e-3))), ("Gemm", 1e-4)] * 10) for _ in range(10)]
    truth = {"Conv": 1.2, "Gemm": 1.0, NODE: -2.0, RUN: 10.0}
    factors = fitted(rows, [corrected(row, truth) for row in rows])
    assert factors["Conv"] == pytest.approx(1.2, abs=0.01)
    assert factors["Gemm"] >= 0


def test_without_runs_units_count_as_they_are() -> None:
    assert corrected(features([("Conv", 1e-3)]), {}) == pytest.approx(1e-3 + 8e-6)


def test_the_multiple_that_pays_is_a_power_of_two(learnt: Predictor) -> None:
    assert alignment(learnt) in (1, 2, 4, 8, 16, 32, 64)
