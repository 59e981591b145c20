"""allocation=gates: within the budget, nearer to the original than what it starts from; closed form without data."""

import digits
import numpy as np
import pytest
from zoo import ZOO

from optimise_onnx.passes.allocate.allocate import Allocate
from optimise_onnx.passes.analysis.costs.sums import MACS
from optimise_onnx.passes.analysis.statistics import gate_training
from optimise_onnx.passes.manager import apply
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
