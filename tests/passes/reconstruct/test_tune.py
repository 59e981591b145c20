"""tune: a network comes nearer to the original on images that neither has seen, or stays as it was."""

from dataclasses import replace
from typing import Any

import digits
import numpy as np
import onnx
import onnx.parser
import pytest
from oracle import graph_of
from zoo import ARCHITECTURES, ZOO, feeds
from zoo.builder import Builder

from optimise_onnx.ir.errors import BudgetError, UnsupportedOpError, UsageError
from optimise_onnx.ir.feeds import Calibration, batch_size
from optimise_onnx.ir.memory import memory_limit
from optimise_onnx.passes.analysis.gradients.onnx_objective import OnnxObjective
from optimise_onnx.passes.analysis.gradients.optimiser import Optimiser
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.manager import PassManager, apply
from optimise_onnx.passes.reconstruct import tune
from optimise_onnx.passes.reconstruct.require_gradients import RequireGradients
from optimise_onnx.passes.reconstruct.tune import Tune
from optimise_onnx.passes.reconstruct.tuning import search
from optimise_onnx.passes.reconstruct.tuning.examiner import Distance
from optimise_onnx.passes.reconstruct.tuning.scales import Scales
from tests.passes.cleanup.support import build, normal

REMOVED = "select-channels{keep=0.2},remove-channels,reconstruct"


def removed(count: int | None = 256) -> tuple[Any, Context]:
    shared = digits.context(count)
    return digits.run(REMOVED, shared), shared


def objective(weights: str = "full") -> Any:
    graph, shared = removed(64)
    samples = next(iter(shared.fitting().batches(64)))
    asked = Tune(batch=8)._task(graph, shared)
    plain = OnnxObjective(asked, shared.runner)
    return (Scales(plain) if weights == "scales" else plain), {n: v[:8] for n, v in samples.items()}


@pytest.mark.parametrize("weights", ["full", "scales"])
def test_slopes_are_those_of_the_loss(weights: str) -> None:
    found, feeds = objective(weights)
    values = found.start()
    _, slopes = found.slopes(feeds, values)
    rng, pairs = np.random.default_rng(0), []
    for name in slopes:
        way = rng.standard_normal(values[name].shape).astype(np.float32)
        step = np.float32(3e-3 / np.linalg.norm(way))
        up, down = (found.slopes(feeds, {**values, name: values[name] + sign * step * way})[0] for sign in (1, -1))
        pairs.append(((up - down) / (2 * step), np.vdot(slopes[name], way)))
    measured, said = np.array(pairs).T
    assert np.linalg.norm(measured - said) < 0.05 * np.linalg.norm(said)  # a few units lie at the bend of a Relu


def test_the_network_comes_nearer_on_images_it_has_not_seen() -> None:
    graph, shared = removed(None)
    before = digits.examiner().of(graph)
    outcome = apply(Tune(budget="80steps", rate=1e-3), graph, shared)
    assert outcome.changed and outcome.figures["error_after"] < outcome.figures["error_before"]
    assert digits.examiner().of(graph) < 0.8 * before


def test_steps_that_are_far_too_long_are_taken_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Held to the rate given, the network ends no nearer than it was, or nearer by less."""
    gains = []
    for far in (tune._FAR, np.inf):
        monkeypatch.setattr(tune, "_FAR", far)
        graph, shared = removed(None)
        figures = apply(Tune(budget="64steps", rate=0.03, own=0.03), graph, shared).figures
        gains.append(figures.get("squared_after", figures["squared_before"]) / figures["squared_before"])
    assert gains[0] < 0.9 < gains[1]


def test_steps_that_lead_away_later_are_taken_shorter_too(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = iter([1.0, 1.6, 2.5, *np.linspace(1.2, 2.0, 8)])  # before; two checks, then eight of the second attempt
    rates: list[float] = []

    def steps(_objective: Any, _batches: Any, optimiser: Optimiser, schedule: Any, _progress: Any) -> Any:
        rates.append(optimiser.rate)
        yield from (((place + 1) / schedule.checks, {}) for place in range(schedule.checks))

    monkeypatch.setattr(tune, "search", steps)
    monkeypatch.setattr(tune.Examiner, "of", lambda _self, _graph: Distance(*np.full((2, 3), next(errors))))
    graph, shared = removed(64)
    note = apply(Tune(budget="8steps", rate=0.4), graph, shared).notes[0]
    assert rates == [0.4, 0.1]
    assert "brought nothing" in note and "squared error 1, tuned at best 1.2" in note


def test_every_step_is_told_of() -> None:
    told: list[tuple[str, float]] = []
    graph, shared = removed(64)
    shared.progress = lambda what, share: told.append((what, share))
    apply(Tune(budget="20steps"), graph, shared)
    shares = [share for what, share in told if what == "tuning"]
    assert len(shares) >= 20 and shares == sorted(shares) and shares[-1] == 1


def test_it_is_the_same_every_time() -> None:
    models = []
    for _ in range(2):
        graph, shared = removed(64)
        apply(Tune(budget="4steps"), graph, shared)
        models.append(graph.to_model().SerializeToString(deterministic=True))
    assert models[0] == models[1]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_brings_nothing_is_not_kept() -> None:
    graph, shared = removed(64)
    before = graph.to_model().SerializeToString(deterministic=True)
    outcome = apply(Tune(budget="8steps", rate=10.0, own=10.0), graph, shared)
    assert not outcome.changed and "nothing" in outcome.notes[0]
    assert graph.to_model().SerializeToString(deterministic=True) == before


def test_nothing_is_tuned_where_nothing_was_removed_or_there_is_no_data() -> None:
    shared = digits.context(64)
    graph = digits.network().copy()
    shared.plan = shared.plan.referred(shared.view(graph))
    assert "nothing was removed" in apply(Tune(), graph, shared).notes[0]
    graph, shared = removed(0)
    assert "fewer than 4 samples" in apply(Tune(), graph, shared).notes[0]


def test_a_budget_of_time_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(np.arange(0, 1e6, 0.5))
    monkeypatch.setattr(search, "monotonic", lambda: float(next(clock)))
    graph, shared = removed(64)
    assert apply(Tune(budget="2s"), graph, shared).figures["error_before"] > 0
    assert next(clock) < 8


def test_forms_are_tuned_too() -> None:
    shared = digits.context()
    graph = digits.run("decompose{forms=stretch,energy=0.8},select-channels{keep=0.4},remove-channels", shared)
    assert shared.plan.formed
    outcome = apply(Tune(budget="40steps"), graph, shared)
    assert outcome.figures["error_after"] < outcome.figures["error_before"]


@pytest.mark.parametrize("wrong", [{"weights": "some"}, {"budget": "soon"}, {"augment": ("spin",)}, {"rate": -1.0}])
def test_wrong_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        replace(Tune(), **wrong).check()


def test_samples_that_do_not_fit_in_memory() -> None:
    graph, shared = removed(256)
    with memory_limit(10_000), pytest.raises(BudgetError, match="tuning"):
        Tune().run(graph, shared)


def test_a_node_without_a_gradient_is_refused_before_any_work() -> None:
    b = Builder("lost")
    x = b.conv_relu(b.input("x", ["N", 3, 6, 6]), 6)
    graph = graph_of(b.model(b.conv(b.node("Asinh", [x]), 2)))
    context = Context(digits.RUNNER, graph, Calibration.from_arrays({"x": np.ones((9, 3, 6, 6), np.float32)}))
    with pytest.raises(UnsupportedOpError, match="Asinh"):
        PassManager.parse("require-gradients").run(graph, context)
    assert not RequireGradients().run(digits.network(), digits.context(0)).changed


def tuned(model: onnx.ModelProto, count: int = 24, **options: Any) -> Any:
    """Remove half of every group and tune for three steps on random samples."""
    graph = graph_of(model)
    step = batch_size(graph, 1)
    drawn = [feeds(model, seed, step) for seed in range(count // step)]
    samples = Calibration.from_arrays({name: np.concatenate([one[name] for one in drawn]) for name in drawn[0]})
    shared = Context(digits.RUNNER, graph, replace(samples, step=step), verify=False)
    PassManager.parse("require-gradients,select-channels{keep=0.5},remove-channels").run(graph, shared)
    return apply(Tune(budget="3steps", **options), graph, shared)


KINDS = [*list(ARCHITECTURES)[::3], "reshape_minus_one", "resize_sizes", "scalar_output", "flatten_into_rows"]
KINDS += ["lstm", "lstm_bidirectional", "gru", "rnn_residual", "rms_norm", "attention_operator", "attention_multi_head"]


@pytest.mark.parametrize(("name", "weights"), [(name, ("full", "scales")[k % 2]) for k, name in enumerate(KINDS)])
def test_networks_of_all_kinds_are_tuned(name: str, weights: str) -> None:
    outcome = tuned(ZOO[name](), weights=weights)
    assert "error_before" in outcome.figures or "nothing was removed" in outcome.notes[0]


def test_a_weight_without_a_slope_stays() -> None:
    """One is read by nothing but a condition."""
    weights = {"w": normal(6, 3, 1, 1), "v": normal(6, 3, 1, 1), "u": normal(4, 6, 1, 1), "zero": np.array(0.0)}
    text = """(float[N, 3, 4, 4] x) => (float[N, 4, 4, 4] y) {
        a = Conv(x, w)  b = Conv(x, v)  c = Greater(b, zero)  r = Relu(a)  h = Where(c, a, r)  y = Conv(h, u) }"""
    for kind in ("full", "scales"):
        assert "error_before" in tuned(build(text, weights).to_model(), weights=kind).figures


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_other_element_types_are_refused_before_any_work(kind: Any) -> None:
    name = {np.float16: "float16", np.float64: "double"}[kind]
    text = f"({name}[N, 3, 4, 4] x) => ({name}[N, 4, 4, 4] y) {{ h = Conv(x, w) r = Relu(h) y = Conv(r, u) }}"
    weights = {"w": normal(6, 3, 1, 1), "u": normal(4, 6, 1, 1)}
    parsed = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> g {text}')
    for key, value in weights.items():
        parsed.graph.initializer.append(onnx.numpy_helper.from_array(value.astype(kind), key))
    with pytest.raises(UnsupportedOpError, match="float32"):
        RequireGradients().run(graph_of(parsed), digits.context(8))
    assert not RequireGradients().run(graph_of(parsed), digits.context(0)).changed  # nothing is tuned without data
