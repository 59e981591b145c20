"""Sessions: large constants are handed over, what is refused is said in one line, and runs are recorded."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from oracle import graph_of
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.backends.ort.profiler import by_node, events
from optimise_onnx.backends.ort.sessions import OPTIMISED
from optimise_onnx.ir.errors import InvalidModelError
from optimise_onnx.ir.graph import Graph
from tests.passes.cleanup.support import build


@pytest.fixture
def graph() -> Graph:
    b = Builder("sessions")
    return graph_of(b.model(b.conv_relu(b.input("x", [1, 8, 8, 8]), 8)))


FEEDS = {"x": np.ones((1, 8, 8, 8), np.float32), "other": np.ones(1)}


def test_large_constants_travel_beside_the_model(graph: Graph) -> None:
    wanted = OrtRunner(1).session(graph, exact=True).run(FEEDS)
    model, large = graph.light()
    assert large and max(map(len, (t.raw_data for t in model.graph.initializer))) <= 1024
    found = OrtRunner(1).load(model, large, "none").run(FEEDS)
    assert all(np.array_equal(found[name], value) for name, value in wanted.items())


def test_a_value_that_is_kept_does_not_hold_what_the_session_needed(graph: Graph) -> None:
    session = OrtRunner(1).session(graph)
    lent = session.inner.run(None, {"x": FEEDS["x"]})
    assert all(not value.flags.owndata for value in lent)  # else ours need not be copied
    assert all(value.flags.owndata for value in session.run(FEEDS).values())


def test_refusals_are_one_line(graph: Graph) -> None:
    with pytest.raises(InvalidModelError, match="does not run the model"):
        OrtRunner(1).session(graph).run({"x": np.ones((1, 7, 8, 8), np.float32)})
    model = graph.to_model()
    model.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(InvalidModelError, match="does not load the model") as error:
        OrtRunner(1).load(model, {}, "deployed")
    assert "\n" not in str(error.value)


LOW_BIT = {
    "dense": "y = Gemm (x, w, b)",
    "product": "p = MatMul (x, w) y = Add (p, b)",
    "between quantised values": """xq = QuantizeLinear (x, s, z) xd = DequantizeLinear (xq, s, z) p = MatMul (xd, w)
        pq = QuantizeLinear (p, t, z) y = DequantizeLinear (pq, t, z)""",
}


@pytest.mark.parametrize("body", LOW_BIT.values(), ids=LOW_BIT.keys())
def test_values_are_those_of_the_model_at_every_level_but_the_deployed(body: str) -> None:
    """onnxruntime makes stored int8 weights behind DequantizeLinear a product of 8-bit values, which rounds x."""
    rng = np.random.default_rng(0)
    weights = {"q": rng.integers(-127, 128, (16, 10)).astype(np.int8), "b": rng.standard_normal(10)}
    scales = {"s": np.array(0.013), "t": np.array(0.03), "z": np.array(0, np.int8)}
    text = "(float[N, 16] x) => (float[N, 10] y) { w = DequantizeLinear (q, s, z) " + body + " }"
    graph, runner = build(text, weights | scales), OrtRunner(1)
    feeds = {"x": rng.standard_normal((32, 16)).astype(np.float32)}
    exact, kept, deployed = (
        session.run(feeds)["y"]
        for session in (runner.session(graph, exact=True), runner.session(graph), runner.deployed(graph))
    )
    np.testing.assert_allclose(kept, exact, rtol=0, atol=1e-6 * np.abs(exact).max())
    if "xq" not in body:
        assert np.abs(deployed - exact).max() > 1e-3 * np.abs(exact).max()


@pytest.mark.parametrize("exact", [False, True])
def test_every_run_is_recorded(graph: Graph, tmp_path: Path, exact: bool) -> None:
    session = OrtRunner(1, record=tmp_path).session(graph, exact=exact)
    for _ in range(3):
        session.run(FEEDS)
    rows = by_node(events(session))
    assert {len(runs) for runs in rows.values()} == {3}
    assert (tmp_path / OPTIMISED).exists() is not exact
    ran = graph.to_model() if exact else onnx.load(tmp_path / OPTIMISED, load_external_data=False)
    assert {op for _, op in rows} == {node.op_type for node in ran.graph.node}


def test_latency_is_of_the_runs_alone() -> None:
    """What is not an input of the model, such as labels, is no hindrance; a model that does not run says so."""
    b = Builder("timed")
    model = graph_of(b.model(b.conv_relu(b.input("x", [1, 3, 8, 8]), 4)))
    runner = OrtRunner(1)
    session, feeds = runner.session(model), {"x": np.zeros((1, 3, 8, 8), np.float32), "label": np.zeros(1)}
    found = runner.latency([session, session], [feeds, feeds], 0)
    assert found.clock == "cpu" and found.rounds == 6 and found.ratio.low > 0
    with pytest.raises(InvalidModelError, match="does not run"):
        runner.latency([session], [{"x": np.zeros((1, 5, 8, 8), np.float32)}], 0)


def test_a_comparison_loads_models_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    b = Builder("loads")
    model = graph_of(b.model(b.conv_relu(b.input("x", [1, 3, 8, 8]), 4)))
    loaded: list[object] = []
    load = OrtRunner.deployed
    monkeypatch.setattr(OrtRunner, "deployed", lambda *given: loaded.append(given[1]) or load(*given))
    found = OrtRunner(1).compare([model, model], [{"x": np.zeros((1, 3, 8, 8), np.float32)}] * 2, 0)
    assert len(loaded) == 12 and found.loads == (1,) * 6 and found.shares.shape == (6,)


@pytest.mark.parametrize("inside", [False, True])
def test_a_loop_takes_memory_as_it_goes(inside: bool) -> None:
    """Where memory is bounded, an arena, which doubles, may end the process; without one the run is refused."""
    loop = "y = Loop (trips, yes, x) <body = b (int64 i, bool c, float[N, 4] v) => (bool d, float[N, 4] w) {BODY}>"
    body = "d = Identity(c) w = Tanh(v)"
    branch = "then_branch = t () => (float[N, 4] z) {z = Identity(x)}, else_branch = e () => (float[N, 4] y) {LOOP}"
    text = f"y = If (no) <{branch}>" if inside else "LOOP"
    head = "(float[N, 4] x) => (float[N, 4] y) <int64 trips = {3}, bool yes = {1}, bool no = {0}> {"
    looped = build(head + text.replace("LOOP", loop).replace("BODY", body) + "}")
    plain = build("(float[N, 4] x) => (float[N, 4] y) {y = Tanh(x)}")
    sessions = [OrtRunner(1).session(graph) for graph in (looped, plain)]
    assert [session.inner.get_session_options().enable_cpu_mem_arena for session in sessions] == [False, True]
    x = np.ones((1, 4), np.float32)
    assert np.allclose(sessions[0].run({"x": x})["y"], np.tanh(np.tanh(np.tanh(x))), atol=1e-6)
