"""Forms under a target of latency: chosen where the device says that they pay, and nowhere else."""

from dataclasses import replace

import pytest
from zoo import ZOO

from optimise_onnx.ir.errors import TargetNotMetError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.base import Context
from tests.passes.allocate.devices import Staircase, decided, finished, ranked, share
from tests.passes.decompose.passing import network


def offered(device: Staircase, name: str) -> tuple[Graph, Context]:
    """Rank a network whose layers are offered forms."""
    graph, shared = ranked(ZOO[name]() if name in ZOO else network(name), device, 32, "all")
    assert shared.plan.offers
    return graph, shared


def test_no_form_is_chosen_where_none_pays() -> None:
    """A layer in another form is six times as slow a MAC; under a target of MACs forms are chosen all the same."""
    device = Staircase(strange=6.0)
    graph, shared = offered(device, "residual")
    device.learn(graph)
    timed = decided(graph, shared, "latency=0.5x")
    assert all(one.forms == {} for one in timed.plan.alternatives)
    assert share(device, finished(graph, timed), shared.original) <= 0.5
    assert decided(graph, shared, "macs=0.4x").plan.decision.forms


@pytest.mark.parametrize("strange", [1.5])
def test_where_time_is_macs_forms_are_chosen_and_in_time(strange: float) -> None:
    device = Staircase(tread=1, strange=strange)
    graph, shared = offered(device, "residual")
    device.learn(graph)
    shared = decided(graph, shared, "latency=0.4x")
    found = shared.plan.alternatives
    assert {bool(one.forms) for one in found} == ({False, True} if strange == 1 else {False})
    for one in found:
        reached = share(device, finished(graph, shared, one), shared.original)
        assert reached == pytest.approx(one.figures["latency_measured"], rel=0.02)
        assert reached <= 0.4


def test_channels_alone_are_among_the_alternatives() -> None:
    device = Staircase(tread=1)
    graph, shared = offered(device, "residual")
    both = decided(graph, shared, "latency=0.4x").plan.alternatives
    again, fresh = ranked(network("residual"), device, 32)
    alone = decided(again, fresh, "latency=0.4x").plan.alternatives[0]
    assert alone.forms is None and replace(alone, forms={}) in both


def test_no_choice_is_carried_out_twice() -> None:
    device = Staircase(strange=6.0)
    graph, shared = offered(device, "mlp")
    device.learn(graph)
    found = decided(graph, shared, "latency=0.5x").plan.alternatives
    assert all(one.widths != other.widths for one in found for other in found if one is not other)


def test_forms_out_of_reach_with_less_allowed() -> None:
    device = Staircase()
    graph, shared = offered(device, "residual")
    shared = decided(graph, shared, "latency=0.001x", allow_partial=True)
    (found,) = shared.plan.alternatives
    reached = share(device, finished(graph, shared), shared.original)
    assert reached == pytest.approx(found.figures["latency_measured"], rel=0.02)
    assert 0.001 < reached < 0.2


def test_forms_out_of_reach_are_told_in_shares() -> None:
    graph, shared = offered(Staircase(), "residual")
    with pytest.raises(TargetNotMetError, match="found is 0.018 of the original's"):
        decided(graph, shared, "latency=0.001x")
