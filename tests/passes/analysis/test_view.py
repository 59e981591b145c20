"""What is computed from a graph: once, until it changes, and kept after a change only with all that it stands on."""

from dataclasses import dataclass, field
from typing import ClassVar

import digits
import numpy as np
import pytest
from oracle import graph_of
from zoo import ZOO, feeds

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.statistics import input_moments
from optimise_onnx.passes.analysis.view import STANDS_ON, View
from optimise_onnx.passes.base import Context, Outcome
from optimise_onnx.passes.manager import apply


@pytest.fixture
def graph() -> Graph:
    return graph_of(ZOO["vgg_gap"]())


def context(graph: Graph, samples: int = 0) -> Context:
    data = Calibration.from_arrays(feeds(ZOO["vgg_gap"](), 0, samples)) if samples else None
    return Context(OrtRunner(1), graph.copy(), data)


@dataclass(frozen=True)
class Change:
    """Says that the graph changed, or that it did not, and which analyses still hold."""

    changed: bool = True
    kept: frozenset[str] = field(default_factory=frozenset)
    name: ClassVar[str] = "change"

    def run(self, graph: Graph, context: Context) -> Outcome:
        return Outcome(self.changed, preserved=self.kept)


def test_every_analysis_is_made_once(graph: Graph) -> None:
    view = View(graph)
    for name in STANDS_ON:
        assert getattr(view, name) is getattr(view, name)
    made: list[int] = []
    for _ in range(2):
        assert view.once(("own", 1), lambda: made.append(1) or "found") == "found"
    view.once(("own", 2), lambda: made.append(2))
    assert made == [1, 2]


def test_a_graph_has_one_view_until_it_changes(graph: Graph) -> None:
    shared = context(graph)
    view = shared.view(graph)
    apply(Change(changed=False), graph, shared)
    assert shared.view(graph) is view
    apply(Change(), graph, shared)
    assert shared.view(graph) is not view and shared.view(graph).graph is graph
    assert shared.view(graph).channels is not view.channels
    assert shared.view(graph.copy()) is not view


@pytest.mark.parametrize(
    ("named", "stay"),
    [
        ((), ()),
        (("channels",), ("channels",)),
        (("layers",), ()),
        (("costs",), ("costs",)),
        (("layers", "costs"), ("costs",)),
        (("channels", "layers"), ("channels", "layers")),
        (("channels", "layers", "costs"), ("channels", "layers", "costs")),
    ],
)
def test_what_is_preserved_stays_with_all_it_stands_on(graph: Graph, named: tuple[str, ...], stay: set[str]) -> None:
    shared = context(graph)
    before = {name: getattr(shared.view(graph), name) for name in STANDS_ON}
    shared.view(graph).once("own", list)
    apply(Change(kept=frozenset(named)), graph, shared)
    after = shared.view(graph)
    assert {name for name in STANDS_ON if getattr(after, name) is before[name]} == set(stay)
    assert after.once("own", lambda: "anew") == "anew"


def test_what_is_no_analysis_cannot_be_preserved(graph: Graph) -> None:
    with pytest.raises(ValueError, match="labels is no analysis: one of channels, costs, layers"):
        View(graph).after({"labels", "costs"})


def test_what_is_not_made_yet_is_not_made_to_be_preserved(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = context(graph)
    assert not shared.view(graph)._known
    apply(Change(kept=frozenset(STANDS_ON)), graph, shared)
    assert not shared.view(graph)._known


def test_a_frozen_view_outlives_its_graph(graph: Graph) -> None:
    view = View(graph)
    layers, own = view.layers, view.once("own", list)
    frozen = view.frozen()
    before = graph.to_model()
    (weight, *_) = (tensor for tensor in graph.constants() if tensor.array.ndim > 1)
    graph.set_array(weight, weight.array + np.float32(1))
    assert frozen.graph.to_model() == before != graph.to_model()
    assert frozen.channels.context.graph is frozen.graph and view.channels.context.graph is graph
    assert frozen.channels.groups is view.channels.groups
    assert frozen.layers is layers and frozen.once("own", dict) is own


def test_moments_are_measured_once_for_as_many_rows_and_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, asked = digits.network().copy(), list[int | None]()
    shared, measure = digits.context(16), input_moments.input_moments

    def watched(*arguments: object, rows: int | None = None, **more: object) -> object:
        asked.append(rows)
        return measure(*arguments, rows=rows, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("optimise_onnx.passes.base.input_moments", watched)
    view = shared.view(graph)
    moments = shared.moments(view)
    assert moments is shared.moments(view) is not shared.moments(view, 50) and asked == []
    assert len(moments) and len(shared.moments(view)) == len(moments) and asked == [None]
    assert shared.moments(view.frozen()) is moments
    assert len(shared.moments(view, 50)) == len(moments) and asked == [None, 50]
    apply(Change(), graph, shared)
    assert len(shared.moments(shared.view(graph))) and asked == [None, 50, None]
