"""Forms under a target of latency: chosen where the device says that they pay, and nowhere else."""

from typing import Any

import pytest
from zoo import ZOO

from optimise_onnx.ir.errors import TargetNotMetError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.allocate.allocate import Allocate
from optimise_onnx.passes.base import Context
from tests.passes.allocate.devices import Staircase, finished, ranked, share
from tests.passes.decompose.passing import network


def offered(device: Staircase, name: str) -> tuple[Graph, Context]:
    """Rank a network whose layers are offered forms."""
    graph, shared = ranked(ZOO[name]() if name in ZOO else network(name), device, 32, "all")
    assert shared.decisions["offers"]
    return graph, shared


def test_no_form_is_chosen_where_none_pays() -> None:
    """A layer in another form is six times as slow a MAC; under a target of MACs forms are chosen all the same."""
    device = Staircase(strange=6.0)
    graph, shared = offered(device, "residual")
    offers = shared.decisions["offers"]
    device.learn(graph)
    Allocate("latency=0.5x").run(graph, shared)
    assert all(one["forms"] == {} for one in shared.decisions["alternatives"])
    assert share(device, finished(graph, shared), shared.original) <= 0.5
    shared.decisions["offers"] = offers
    Allocate("macs=0.4x").run(graph, shared)
    assert shared.decisions["forms"] != {}


@pytest.mark.parametrize("strange", [1.0, 1.5])
def test_where_time_is_macs_forms_are_chosen_and_in_time(strange: float) -> None:
    device = Staircase(tread=1, strange=strange)
    graph, shared = offered(device, "residual")
    device.learn(graph)
    Allocate("latency=0.4x").run(graph, shared)
    found = shared.decisions["alternatives"]
    assert {bool(one["forms"]) for one in found} == ({False, True} if strange == 1 else {False})
    for one in found:
        reached = share(device, finished(graph, shared, one), shared.original)
        assert reached == pytest.approx(one["figures"]["latency_measured"], rel=0.02)
        assert reached <= 0.4


def test_channels_alone_are_among_the_alternatives() -> None:
    device = Staircase(tread=1)
    graph, shared = offered(device, "residual")
    Allocate("latency=0.4x").run(graph, shared)
    again, fresh = ranked(network("residual"), device, 32)
    Allocate("latency=0.4x").run(again, fresh)
    assert fresh.decisions["alternatives"][0] in shared.decisions["alternatives"]


def test_no_choice_is_carried_out_twice() -> None:
    device = Staircase(strange=6.0)
    graph, shared = offered(device, "mlp")
    device.learn(graph)
    Allocate("latency=0.5x").run(graph, shared)
    found: tuple[dict[str, Any], ...] = shared.decisions["alternatives"]
    assert all(one["removed"] != other["removed"] for one in found for other in found if one is not other)


def test_forms_out_of_reach_with_less_allowed() -> None:
    device = Staircase()
    graph, shared = offered(device, "residual")
    Allocate("latency=0.001x", partial=True).run(graph, shared)
    (found,) = shared.decisions["alternatives"]
    reached = share(device, finished(graph, shared), shared.original)
    assert reached == pytest.approx(found["figures"]["latency_measured"], rel=0.02)
    assert 0.001 < reached < 0.2


def test_forms_out_of_reach_are_told_in_shares() -> None:
    graph, shared = offered(Staircase(), "residual")
    with pytest.raises(TargetNotMetError, match="of the original's time"):
        Allocate("latency=0.001x").run(graph, shared)
