"""The guard of ``meet-target``: a model that is slower than the original gives way to other widths, or is refused."""

import pytest
from zoo import ZOO

from optimise_onnx.ir.errors import TargetNotMetError, UsageError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.timing import Comparison
from optimise_onnx.passes.manager import PassManager
from tests.passes.allocate.devices import ranked

from .test_meet_target import Moody, asked, met, widths


def test_a_slower_model_gives_way_to_aligned_widths() -> None:
    device = Moody(moods=[3.0])
    plain, _, _, _ = met(Moody(), "macs=0.6x")
    assert any(width % 4 for width in widths(plain))
    graph, _, record, inner = met(device, "macs=0.6x")
    assert all(width % 4 == 0 for width in widths(graph)) and len(device.compared) == 2
    assert record.notes == ("slower than the original at other widths, so these are multiples of 4",)
    assert ["align=4" in text for text in asked(inner)] == [True]


def test_halves_of_what_pays_are_tried_where_multiples_of_it_are_slower_too() -> None:
    device = Moody(moods=[3.0, 3.0])
    graph, _, record, _ = met(device, "macs=0.6x")
    assert all(width % 2 == 0 for width in widths(graph)) and len(device.compared) == 3
    assert record.notes[0].endswith("multiples of 2")


def test_blocks_of_kernels_are_tried_where_the_device_took_any_width_to_pay() -> None:
    device = Moody(tread=1, moods=[3.0, 3.0])
    graph, _, record, _ = met(device, "macs=0.6x")
    assert all(width % 4 == 0 for width in widths(graph)) and record.notes[0].endswith(("of 8", "of 4"))
    with pytest.raises(TargetNotMetError, match="not faster") as caught:
        met(Moody(tread=1, moods=[9.0] * 9), "macs=0.6x,align=4")
    assert "multiples of 16 and 8 too" in str(caught.value.why)


def test_aligned_widths_that_miss_the_target_are_passed_over() -> None:
    device = Moody(tread=64, moods=[3.0])
    graph, _, record, _ = met(device, "macs=0.6x")
    assert len(device.compared) == 2 and record.notes[0].endswith(("multiples of 32", "multiples of 16"))
    assert all(width % 16 == 0 for width in widths(graph))


def test_slower_at_all_widths_is_refused_unless_less_is_allowed() -> None:
    with pytest.raises(TargetNotMetError, match="the smaller model is not faster") as caught:
        met(Moody(moods=[9.0] * 9), "macs=0.6x")
    assert "--no-guard" in str(caught.value.hint)
    plain, _, _, _ = met(Moody(), "macs=0.6x")
    graph, _, record, _ = met(Moody(moods=[9.0] * 9), "macs=0.6x", ",allow-partial=true")
    assert record.notes == ("slower than the original",) and graph.to_model() == plain.to_model()


def test_a_little_slower_is_not_slower() -> None:
    device = Moody()
    graph, shared, _, _ = met(device, "macs=0.6x")
    even = Moody(moods=[1.005 / device.compared[0]])
    assert met(even, "macs=0.6x")[0].to_model() == graph.to_model() and len(even.compared) == 1
    unsure = Moody(moods=[1.2 / device.compared[0]], spread=0.3)
    assert met(unsure, "macs=0.6x")[0].to_model() == graph.to_model() and len(unsure.compared) == 1


def test_times_are_held_against_the_model_as_it_was_given() -> None:
    held: list[Graph] = []

    class Device(Moody):
        def compare(self, before: Graph, after: Graph) -> Comparison:
            held.append(before)
            return super().compare(before, after)

    graph, shared = ranked(ZOO["vgg_gap"](), Device(), 0)
    shared.given = shared.original.copy()
    propose = "select-channels{criterion=magnitude},allocate{target=macs=0.6x}"
    PassManager.parse(f'meet-target{{propose="{propose}",finish="remove-channels"}}').run(graph, shared)
    assert held and all(each is shared.given for each in held)


def test_without_the_guard_nothing_is_measured() -> None:
    device = Moody(moods=[9.0])
    graph, _, record, _ = met(device, "macs=0.6x", guard=False)
    assert device.compared == [] and record.notes == () and record.changed
    assert met(None, "macs=0.6x", guard=False)[0].to_model() == graph.to_model()


def test_guard_and_latency_need_a_device() -> None:
    for target in ("macs=0.6x", "latency=0.6x"):
        with pytest.raises(UsageError, match="latency needs a device"):
            met(None, target)
