"""``decompose``: forms written into a graph, chosen here or by ``allocate``, and what may follow."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import pytest
from oracle import distance, graph_of
from oracle import run as outputs
from zoo import ARCHITECTURES, feeds
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner, OrtSession
from optimise_onnx.ir.cost import cost, total
from optimise_onnx.ir.errors import UsageError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.layers.linear import Linear
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.decompose import decompose as module
from optimise_onnx.passes.manager import apply
from optimise_onnx.passes.plan import Decision, Plan
from optimise_onnx.passes.select.select_channels import SelectChannels
from tests.passes.decompose.passing import Array, calibrated, decompose, network, run, structured

FAMILIES = ["stretch", "low-rank", "strided", "grouped"]


def macs(graph: Graph) -> int:
    return total(cost(graph)).macs


@pytest.mark.parametrize("samples", [0, 64])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_layer_of_the_form_stays_the_same_layer(family: str, samples: int) -> None:
    model = structured(family)
    graph, shared = calibrated(model, samples)
    found, outcome = decompose(f"forms={family},energy=0.9999", graph, shared)
    assert outcome.changed
    assert macs(found) < 0.8 * macs(graph)
    assert distance(graph, found, feeds(model, 2, 3)) < 1e-4


@pytest.mark.parametrize("share", [0.3, 0.6])
@pytest.mark.parametrize("family", FAMILIES)
def test_no_layer_keeps_more_than_the_share(family: str, share: float) -> None:
    graph, shared = calibrated(structured("grouped"), 16)
    found, _ = decompose(f"forms={family},share={share}", graph, shared)
    written = shared.plan.written
    before, after = cost(graph), cost(found)
    rest = sum(each.macs for name, each in before.items() if name not in written)
    whole = sum(before[name].macs for name in written)
    assert written
    assert total(after).macs <= rest + share * whole


def test_a_higher_energy_keeps_more() -> None:
    graph, _ = calibrated(network("residual"), 32)
    found = [decompose(f"energy={energy}", graph, calibrated(network("residual"), 32)[1])[0] for energy in (0.8, 0.97)]
    assert macs(found[0]) < macs(found[1]) < macs(graph)
    inputs = feeds(network("residual"), 1, 8)
    assert distance(graph, found[1], inputs) < distance(graph, found[0], inputs)


def means(graph: Graph, values: dict[str, Array]) -> Array:
    return outputs(graph, values)[0].mean((0, 2, 3), dtype=np.float64)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_bias_makes_the_mean_right(family: str) -> None:
    """Also where the form gives outputs in an order of its own. The first layer stays: its weight is read twice."""
    b = Builder("mean")
    x = b.relu(b.conv(b.input("x", ["N", 3, 6, 7]), 64))
    model = b.model(b.conv(x, 64))
    graph, shared = calibrated(model, 40)
    weight = next(node for node in graph.nodes if node.op == "Conv").inputs[1]
    graph.insert("Identity", [weight], [graph.variable("unread", np.float32)])
    found, _ = decompose(f"forms={family},share=0.5", graph, shared)
    assert len(shared.plan.written) == 1
    seen = {name: values[:30] for name, values in feeds(model, 1, 40).items()}
    assert distance(graph, found, seen) > 0.05
    wanted, got = means(graph, seen), means(found, seen)
    np.testing.assert_allclose(got, wanted, atol=2e-3 * np.abs(wanted).max())


@dataclass
class Slow:
    """A stopwatch for which some layers' forms are slow."""

    slow: Sequence[str]

    def ratio(self, before: Graph, after: Graph, layer: Linear) -> float:
        assert len(after.nodes) > len(before.nodes)
        return 1.5 if layer.node in self.slow else 0.5


@pytest.mark.parametrize("only_faster", [True, False])
def test_slower_layers_stay_where_asked(only_faster: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, shared = calibrated(network("residual"), 32)
    names = [node.name for node in graph.nodes if node.op == "Conv"]
    monkeypatch.setattr(module, "Stopwatch", lambda *_: Slow(names[1:2]))
    found, outcome = decompose(f"forms=stretch,share=0.6,only_faster={str(only_faster).lower()}", graph, shared)
    stay = names[1:2] if only_faster else []
    assert set(names) - set(shared.plan.written) == set(stay)
    assert outcome.figures == {"layers_rewritten": 3 - len(stay), "layers_slower": names[1:2]}
    fate = "stay as they are" if only_faster else "are rewritten for another backend"
    assert f"1 layers whose form is slower here {fate}" in outcome.notes
    for name in stay:
        np.testing.assert_array_equal(found.node(name).inputs[1].array, graph.node(name).inputs[1].array)


def test_where_all_are_slower_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, shared = calibrated(network("residual"), 32)
    monkeypatch.setattr(module, "Stopwatch", lambda *_: Slow([node.name for node in graph.nodes]))
    found = run("decompose{share=0.6,only_faster=true},reconstruct", graph, shared)
    assert found.to_model() == graph.to_model()


@pytest.mark.parametrize("name", ["residual", "matmul", "biased_matmul", "grouped"])
@pytest.mark.parametrize("samples", [0, 32])
def test_the_middle_is_an_ordinary_group(name: str, samples: int) -> None:
    model = network(name)
    graph, shared = calibrated(model, samples)
    split = run("decompose{forms=stretch;low-rank,share=0.8}", graph, shared)
    middles = {tensor for tensor in split.tensors() if tensor.endswith("_middle")}
    found = run("select-channels,allocate{target=macs=0.5x,branches=false},remove-channels,reconstruct", split, shared)
    assert macs(found) <= 0.5 * macs(graph)
    assert not shared.plan.written
    assert all(np.isfinite(array).all() for array in outputs(found, feeds(model, 2, 4)))
    before, after = split.tensors(), found.tensors()
    made = [(before[name].producer, after[name].producer) for name in middles if name in after]
    shorter = [old.inputs[1].array.size > new.inputs[1].array.size for old, new in made if old and new]
    assert any(shorter)


@pytest.mark.parametrize(
    ("name", "samples"), [("residual", 0), ("residual", 32), ("matmul", 1), ("biased_matmul", 32), ("grouped", 1)]
)
def test_layers_are_rewritten_twice_and_after_a_removal(name: str, samples: int) -> None:
    model = network(name)
    graph, shared = calibrated(model, samples)
    pipeline = "select-channels{keep=0.7},remove-channels,decompose{share=0.8},decompose{share=0.9},reconstruct"
    found = run(pipeline, graph, shared)
    assert macs(found) < macs(graph)
    assert all(np.isfinite(array).all() for array in outputs(found, feeds(model, 2, 4)))


def test_other_floats_are_rewritten_and_timed() -> None:
    b, kind = Builder("floats"), np.float16
    x = b.node("Cast", [b.input("x", ["N", 8])], to=onnx.TensorProto.FLOAT16)
    first, second = (b.const(b.rng.standard_normal((size, 24)).astype(kind)) for size in (8, 24))
    y = b.node("MatMul", [b.relu(b.node("MatMul", [x, first])), second])
    graph, shared = calibrated(b.model(b.node("Cast", [y], to=1)), 16)
    found, outcome = decompose("forms=low-rank,share=0.7", graph, shared)
    assert outcome.figures["layers_rewritten"] >= 1
    assert {t.array.dtype for t in found.constants()} == {np.dtype(kind)}


@dataclass
class Counting:
    """A runner that counts its sessions."""

    sessions: int = 0

    def session(self, graph: Graph, *, outputs: Sequence[str] | None = None, exact: bool = False) -> OrtSession:
        self.sessions += 1
        return OrtRunner(1).session(graph, outputs=outputs, exact=exact)


def test_where_nothing_was_chosen_nothing_is_measured() -> None:
    graph, shared = calibrated(network("residual"), 16)
    shared.runner, shared.plan = Counting(), Plan(decision=Decision(forms={}))
    found, outcome = decompose("", graph, shared)
    assert outcome.notes == ("every layer keeps its form",)
    assert not outcome.changed and found.to_model() == graph.to_model()
    assert shared.runner.sessions == 0


def test_without_data_forms_fit_the_weights_and_reconstruct_has_nothing_to_add() -> None:
    graph, shared = calibrated(ARCHITECTURES["vgg_gap"](), 0)
    found = run("decompose{share=0.7}", graph, shared)
    assert run("reconstruct", found, shared).to_model() == found.to_model()


@pytest.mark.parametrize("ready", [True, False])
def test_wrong_use_is_explained(ready: bool) -> None:
    graph = graph_of(network("residual"))
    shared = Context(OrtRunner(1), graph, plan=Plan(decision=Decision(forms={} if ready else None)))
    with pytest.raises(UsageError, match="no family of forms is called 'kronecker'") as unknown:
        decompose("forms=kronecker" + ("" if ready else ",share=0.5"), graph, shared)
    with pytest.raises(UsageError, match="only one") as both:
        decompose("share=0.5,energy=0.9", graph, shared)
    assert unknown.value.hint and both.value.hint
    for wrong in ("share=1", "share=-0.1", "energy=1.5"):
        with pytest.raises(UsageError, match="share"):
            decompose(wrong, graph, shared)


def test_nothing_decided_is_explained() -> None:
    graph, shared = calibrated(network("residual"), 16)
    apply(SelectChannels(), graph, shared)
    with pytest.raises(UsageError, match="decompose needs forms that are decided") as error:
        decompose("", graph, shared)
    assert error.value.hint == "put offer-forms and allocate before it"
