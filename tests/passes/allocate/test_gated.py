"""allocation=gates: within the budget, nearer to the original than what it starts from; closed form without data."""

import digits
import numpy as np
import pytest
from onnx import TensorProto
from oracle import graph_of
from zoo import ZOO, feeds
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.errors import TargetNotMetError, UnsupportedOpError
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.passes.allocate.allocate import Allocate
from optimise_onnx.passes.analysis.costs.sums import MACS
from optimise_onnx.passes.analysis.statistics import gate_training
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.manager import PassManager, apply
from tests.passes.allocate.devices import Staircase, finished, flattering, kept, ranked, share

SELECT = "select-channels{criterion=zero-or-similar}"
FOLD = "remove-channels,fold-channels{into=partner}"


def pruned(allocation: str, before: str = "", count: int = 128) -> float:
    shared = digits.context(count)
    graph = digits.run(f"{before}{SELECT},allocate{{target=macs=0.5x,allocation={allocation}}},{FOLD}", shared)
    assert MACS.of(graph) <= 0.5 * MACS.of(shared.original)
    return digits.examiner().of(graph)


def test_gates_choose_better_than_errors_one_by_one_where_nothing_is_solved_anew() -> None:
    assert pruned("gates") < 0.9 * pruned("global")


def test_decomposed_layers_have_gates_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_training, "_STEPS", 2)
    assert np.isfinite(pruned("gates", "decompose{forms=stretch,energy=0.999},", 48))


def test_without_data_errors_compete_and_it_says_so() -> None:
    shared = digits.context(0)
    graph = digits.run("select-channels", shared)
    outcome = apply(Allocate(allocation="gates"), graph, shared)
    other = digits.context(0)
    expected = apply(Allocate(), digits.run("select-channels", other), other)
    assert outcome.plan is not None and expected.plan is not None
    assert outcome.plan.decision.widths == expected.plan.decision.widths
    assert "calibration data" in outcome.notes[-1]


def test_gates_within_a_time_lie_at_edges_of_the_stairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_training, "_STEPS", 3)
    device = Staircase(pace=flattering)
    graph, shared = ranked(ZOO["vgg_gap"](), device, 32)
    outcome = apply(Allocate(target="latency=0.5x", allocation="gates"), graph, shared)
    assert outcome.plan is not None and outcome.plan.ranking is not None
    assert outcome.plan.ranking.criterion == "gates"
    assert all(stays % 4 == 0 or stays == width for stays, width in kept(shared).values())
    assert 0.44 < share(device, finished(graph, shared), shared.original) <= 0.5


def test_where_nothing_may_go_the_target_is_missed() -> None:
    with pytest.raises(TargetNotMetError):
        digits.run("select-channels{keep-nodes=.*},allocate{allocation=gates,target=macs=0.5x}", digits.context(48))


def test_a_network_that_reads_no_float32_is_refused() -> None:
    b = Builder("halves")
    x = b.node("Cast", [b.input("x", ["N", 3, 6, 6])], to=TensorProto.FLOAT16)
    for into, out in ((3, 8), (8, 8)):
        x = b.relu(b.conv_with(x, [b.const(np.ones((out, into, 1, 1), np.float16), "weight")], pad=0))
    model = b.model(b.node("Cast", [x], to=TensorProto.FLOAT))
    shared = Context(OrtRunner(1), graph_of(model), Calibration.from_arrays(feeds(model, 0, 16)))
    with pytest.raises(UnsupportedOpError, match="float32"):
        PassManager.parse("select-channels{criterion=gate-mean}").run(graph_of(model), shared)
