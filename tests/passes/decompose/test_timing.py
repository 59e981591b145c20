"""Timing a rewritten layer: its own nodes, all of them and no others, on values of the right type."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from optimise_onnx.backends.ort import OrtRunner, OrtSession
from optimise_onnx.backends.ort.stopwatch import latency
from optimise_onnx.ir.feeds import Feeds
from optimise_onnx.ir.graph import Array, Graph
from optimise_onnx.ir.shapes import concrete, input_sizes
from optimise_onnx.ir.timing import Latency
from optimise_onnx.passes.analysis.layers.linear import linear_layers
from optimise_onnx.passes.decompose import timing
from optimise_onnx.passes.decompose.families import FAMILIES
from optimise_onnx.passes.decompose.timing import Stopwatch
from tests.passes.decompose.passing import calibrated, decompose, network, structured


class Watched:
    """A runner that keeps the operators and outputs of what it runs."""

    def __init__(self) -> None:
        self.operators: list[list[str]] = []
        self.outputs: list[dict[str, Array]] = []

    def session(self, graph: Graph, *, outputs: Sequence[str] | None = None, exact: bool = False) -> "Session":
        raise NotImplementedError

    def deployed(self, graph: Graph) -> "Session":
        self.operators.append(sorted(node.op for node in graph.nodes))
        return Session(OrtRunner(1).deployed(graph), self)

    def latency(self, sessions: Sequence["Session"], feeds: Sequence[Feeds], seconds: float) -> Latency:
        return latency(sessions, feeds, seconds)


class Session:
    def __init__(self, inner: OrtSession, watched: Watched) -> None:
        self._inner, self._watched = inner, watched

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        self._watched.outputs.append(self._inner.run(feeds))
        return self._watched.outputs[-1]


@pytest.mark.parametrize("family", [*sorted(FAMILIES), "matmul"])
def test_a_layer_and_its_form_run_alone_and_give_the_same(family: str) -> None:
    model = network("matmul") if family == "matmul" else structured(family)
    graph, shared = calibrated(model, 0)
    text = "forms=low-rank,share=0.99" if family == "matmul" else f"forms={family},energy=0.9999"
    decompose(text, graph, shared)
    written = shared.plan.written
    layers = linear_layers(graph, concrete(graph, input_sizes(graph, 1)))
    name, watched, alone = list(written)[-1], Watched(), graph.copy()
    written[name].fitted.write(alone, alone.node(name), layers[name])
    watch = Stopwatch(watched, concrete(graph, input_sizes(graph, 1)), np.random.default_rng(0))
    assert 0.01 < watch.ratio(graph, alone, layers[name]) < 100
    before, after = watched.operators
    assert before == [graph.node(name).op]
    assert after == sorted(before + new_operators(graph, alone))
    given = [values[layers[name].output] for values in watched.outputs]
    assert all(set(values) == {layers[name].output} for values in watched.outputs)
    apart = max(np.abs(values - given[0]).max() for values in given[1:])
    assert apart < 1e-4 * np.abs(given[0]).max() or family == "matmul"


def new_operators(before: Graph, after: Graph) -> list[str]:
    old = {node.name for node in before.nodes}
    return [node.op for node in after.nodes if node.name not in old]


def test_a_form_with_more_work_takes_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, _ = calibrated(structured("low-rank"), 0)
    monkeypatch.setattr(timing, "_SECONDS", 0.2)
    shapes = concrete(graph, input_sizes(graph, 1))
    watch = Stopwatch(OrtRunner(1), shapes, np.random.default_rng(0))
    layer = list(linear_layers(graph, shapes).values())[-1]
    dear = graph.copy()
    node = dear.node(layer.node)
    for _ in range(12):
        middle = dear.variable("middle", np.float32)
        dear.insert("Conv", [node.inputs[0], node.inputs[1]], [middle], {"pads": [1, 1, 1, 1]}, before=node)
        node.set_input(0, middle)
    assert watch.ratio(graph, dear, layer) > 2
