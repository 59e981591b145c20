"""Latency as a target on devices whose time is arithmetic: met, at the edges of the stairs, or what can be reached."""

import re

import onnx
import pytest
from zoo import ZOO
from zoo.builder import Builder

from optimise_onnx.ir.errors import TargetNotMetError, UsageError
from optimise_onnx.passes.allocate.allocate import Allocate
from optimise_onnx.passes.manager import apply
from tests.passes.allocate.devices import Staircase, decided, finished, flattering, kept, ranked, share

NETWORKS = [("vgg_gap", 32), ("resnet_projection", 0), ("mobilenet_v2", 32), ("mlp", 0)]  # and how many samples


def odd() -> onnx.ModelProto:
    """Widths of which none is a multiple of four."""
    b = Builder("odd")
    x = b.input("x", ["N", 3, 8, 8])
    for width in (22, 30, 37, 26):
        x = b.conv_relu(x, width)
    return b.model(b.head(x))


@pytest.mark.parametrize(("name", "count"), NETWORKS)
def test_the_pruned_network_is_in_time_at_edges_of_the_stairs(name: str, count: int) -> None:
    """Though the forecast is off by a factor that differs with the width."""
    device = Staircase(pace=flattering)
    graph, shared = ranked(ZOO[name](), device, count)
    shared = decided(graph, shared, "latency=0.5x")
    assert all(stays % 4 == 0 or stays == width for stays, width in kept(shared).values())
    reached = share(device, finished(graph, shared), shared.original)
    assert 0.44 < reached <= 0.5
    figures = shared.plan.decision.figures
    assert reached == pytest.approx(figures["latency_measured"])
    assert abs(figures["latency_predicted"] - reached) > 0.003


def test_without_measuring_the_forecast_would_miss() -> None:
    """What the test above stands on: the first choice, that of the forecast alone, is too slow."""
    device, trusted = Staircase(pace=flattering), Staircase(pace=flattering)
    trusted.times = lambda graphs: [trusted.told(graph, flattering) for graph in graphs]  # type: ignore[method-assign]
    graph, shared = ranked(ZOO["vgg_gap"](), trusted, 32)
    shared = decided(graph, shared, "latency=0.5x")
    assert share(device, finished(graph, shared), shared.original) > 0.5


@pytest.mark.parametrize("op", ["none", "Conv"])
def test_layers_that_the_device_does_not_tell_are_not_free(op: str) -> None:
    """onnxruntime puts nodes of its own in the place of some, of all convolutions where these are in half precision."""
    device = Staircase()
    graph, shared = ranked(ZOO["vgg_gap"](), device, 0)
    names = {node.name for node in graph.nodes if node.op == op}
    every = device.layers(graph)
    device.layers = lambda _: {name: every[name] for name in names}  # type: ignore[method-assign]
    shared = decided(graph, shared, "latency=0.5x")
    assert 0.44 < share(device, finished(graph, shared), shared.original) <= 0.5
    assert all(stays % 4 == 0 for stays, _ in kept(shared).values())


def test_milliseconds() -> None:
    device = Staircase()
    graph, shared = ranked(ZOO["vgg_gap"](), device, 0)
    limit = 0.6 * device.times([graph])[0]
    shared = decided(graph, shared, f"latency={1e3 * limit}ms")
    assert 0.9 * limit < device.times([finished(graph, shared)])[0] <= limit


@pytest.mark.parametrize("target", ["latency=1x", "latency=10000ms"])
def test_what_is_in_time_already_stays_as_it_is(target: str) -> None:
    graph, shared = ranked(ZOO["mlp"](), Staircase(), 0)
    outcome = apply(Allocate(target), graph, shared)
    assert outcome.notes == (f"{target} is met already",)
    assert (shared.plan.decision.widths, shared.plan.alternatives) == ({}, ())
    assert finished(graph, shared).to_model() == graph.to_model()


@pytest.mark.parametrize(("name", "count"), [("mlp", 0), ("mlp", 32)])
def test_out_of_reach(name: str, count: int) -> None:
    """What can be reached is said, and reached when less is allowed."""
    device = Staircase(pace=flattering)
    graph, shared = ranked(ZOO[name](), device, count)
    with pytest.raises(TargetNotMetError, match="latency=0.01x cannot be reached") as caught:
        decided(graph, shared, "latency=0.01x")
    assert "--forms all" in caught.value.hint
    said = re.search(r"found is ([\d.]+) of the original's", str(caught.value.why))
    assert said is not None
    shared = decided(graph, shared, "latency=0.01x", allow_partial=True)
    reached = share(device, finished(graph, shared), shared.original)
    assert reached == pytest.approx(float(said[1]), abs=1e-3)
    assert 0.01 < reached < 0.3
    assert len(shared.plan.alternatives) == 1


def test_what_the_quickest_just_meets_is_met() -> None:
    device = Staircase()
    graph, shared = ranked(ZOO["mlp"](), device, 0)
    least = decided(graph, shared, "latency=0.01x", allow_partial=True)
    quickest = share(device, finished(graph, least), shared.original)
    met = decided(graph, shared, f"latency={1.01 * quickest}x")
    assert share(device, finished(graph, met), shared.original) == pytest.approx(quickest)


def test_no_device() -> None:
    graph, shared = ranked(ZOO["mlp"](), None, 0)
    for target, align in (("latency=0.5x", 1), ("macs=0.5x", 0)):
        with pytest.raises(UsageError, match="needs a device"):
            decided(graph, shared, target, align=align)


@pytest.mark.parametrize("allocation", ["uniform", "bisect"])
def test_other_allocations_know_no_latency(allocation: str) -> None:
    graph, shared = ranked(ZOO["mlp"](), Staircase(), 32)
    with pytest.raises(UsageError, match=f"allocation={allocation} knows no latency"):
        decided(graph, shared, "latency=0.5x", allocation=allocation)


def test_alternatives_are_in_time_each() -> None:
    device = Staircase(pace=flattering)
    graph, shared = ranked(ZOO["resnext"](), device, 32)
    shared = decided(graph, shared, "latency=0.3x")
    found = shared.plan.alternatives
    assert len(found) > 1 and len({str(sorted((one.widths or {}).items())) for one in found}) == len(found)
    assert shared.plan.decision == found[0]
    errors = [one.figures["error_predicted"] for one in found]
    assert errors == sorted(errors)
    for one in found:
        assert one.forms is None
        reached = share(device, finished(graph, shared, one), shared.original)
        assert reached == pytest.approx(one.figures["latency_measured"], rel=0.02)
        assert reached <= 0.3
    gone = [sum(not stays for stays, _ in kept(shared, one).values()) for one in found]
    assert max(gone) > min(gone)


def test_blocks_stay_where_they_may_not_go() -> None:
    graph, shared = ranked(ZOO["resnext"](), Staircase(pace=flattering), 32)
    shared = decided(graph, shared, "latency=0.3x", branches=False)
    (found,) = shared.plan.alternatives
    assert all(stays for stays, _ in kept(shared, found).values())


def test_no_target_of_macs_does_better_in_the_same_time() -> None:
    device = Staircase()
    graph, shared = ranked(odd(), device, 64)
    found = decided(graph, shared, "latency=0.5x").plan.decision.figures["error_predicted"]
    errors = []
    for part in range(30, 60, 4):
        counted = decided(graph, shared, f"macs=0.{part}x")
        if share(device, finished(graph, counted), shared.original) <= 0.5:
            errors.append(counted.plan.decision.figures["error_predicted"])
    assert len(errors) > 1
    assert found < 0.9 * min(errors)


def test_the_share_that_a_group_may_lose_holds() -> None:
    graph, shared = ranked(ZOO["vgg_gap"](), Staircase(), 0)
    shared = decided(graph, shared, "latency=0.6x", max_ratio=0.5)
    assert all(stays >= width / 2 for stays, width in kept(shared).values())


def test_align_gives_the_tread() -> None:
    graph, shared = ranked(ZOO["vgg_gap"](), Staircase(), 0)
    shared = decided(graph, shared, "latency=0.6x", align=8)
    assert all(stays % 8 == 0 or stays in (4, width) for stays, width in kept(shared).values())


@pytest.mark.parametrize("tread", [4, 16])
def test_the_multiple_that_pays_is_halved_for_narrow_groups(tread: int) -> None:
    """Until four multiples fit."""
    graph, shared = ranked(ZOO["vgg_gap"](), Staircase(tread), 32)
    shared = decided(graph, shared, "macs=0.5x", align=0)
    found = kept(shared).values()
    lost = [stays for stays, width in found if stays < width]
    assert len(lost) > 3 and (tread == 4) == all(stays % tread == 0 for stays in lost)
    for stays, width in found:
        step = tread
        while 4 * step > width:
            step //= 2
        assert stays % step == 0
