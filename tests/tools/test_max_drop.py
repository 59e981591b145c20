"""The least cost within a loss: chosen on samples that do not report, never claimed by noise."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from zoo import feeds

import optimise_onnx
from optimise_onnx.ir.errors import TargetNotMetError, UsageError
from optimise_onnx.ir.timing import Interval
from optimise_onnx.passes.analysis.costs.target import Target
from optimise_onnx.tools import max_drop
from optimise_onnx.tools.aiming import Begun
from optimise_onnx.tools.evaluation import Samples
from optimise_onnx.tools.measure import Fidelity
from optimise_onnx.tools.settings import allowed

from .conftest import Run, network

SAMPLES = Samples(lambda: ({"x": np.full((4, 1), place)} for place in range(5)), "20 samples", held_out=True)


def test_a_limit_is_a_share() -> None:
    assert allowed("1%") == allowed(" 0.01 ") == 0.01
    for wrong in ("0", "100%", "1", "-1%", "one", ""):
        with pytest.raises(UsageError, match="no share"):
            allowed(wrong)


def test_samples_that_choose_do_not_report() -> None:
    choosing, reporting = (max_drop._half(SAMPLES, which) for which in (0, 1))
    seen = [sorted({int(batch["x"][0, 0]) for batch in half.batches()}) for half in (choosing, reporting)]
    assert seen == [[0, 2, 4], [1, 3]]
    assert choosing.origin == "12 of 20 samples" and reporting.origin == "8 of 20 samples"
    with pytest.raises(UsageError, match="others to report"):
        max_drop._half(replace(SAMPLES, batches=lambda: [{"x": np.zeros((4, 1))}]), 1)


def test_the_interval_of_a_metric_holds_the_loss_in_19_of_20_draws() -> None:
    rng, held = np.random.default_rng(0), 0
    for _ in range(400):
        changes = rng.choice([1.0, 0.0, -1.0], (32, 16), p=[0.03, 0.95, 0.02])
        losses = tuple((16, float(mean)) for mean in changes.mean(1))
        _, found = max_drop.lost(Fidelity({}, SAMPLES, {"accuracy": (0.9, 0.89)}, losses))
        held += found.low <= 0.01 <= found.high
    assert 370 <= held <= 395


def test_no_difference_is_no_certainty() -> None:
    _, few = max_drop.lost(Fidelity({}, SAMPLES, {"accuracy": (0.9, 0.9)}, ((16, 0.0),) * 4))
    _, many = max_drop.lost(Fidelity({}, SAMPLES, {"accuracy": (0.9, 0.9)}, ((16, 0.0),) * 64))
    assert few.middle == many.middle == 0 and few.high > 0.04 and 0.001 < many.high < 0.003


def searched(monkeypatch: pytest.MonkeyPatch, loss: Callable[[float], float], target: str = "macs=1x") -> Any:
    """Search where ``loss`` says what a share of the cost loses, give or take 0.002; return it with what was tried."""
    tried = list[float]()

    def each(aims: list[Target]) -> list[tuple[int, object]]:
        (aim,) = aims
        tried.append(aim.amount)
        return [(0, TargetNotMetError("out of reach") if aim.amount < 0.1 else aim.amount)]

    def told(_search: object, share: float) -> Interval:
        return Interval(loss(share) - 0.002, loss(share), loss(share) + 0.002)

    monkeypatch.setattr(max_drop._Search, "_loss", told)
    monkeypatch.setattr(max_drop._Search, "_check_enough", lambda _: None)
    begun = cast(Begun, SimpleNamespace(each=each))
    return max_drop._Search(begun, Target.parse(target), 0.01, SAMPLES).best(), tried


@pytest.mark.parametrize("bend", [0.2, 0.55, 0.9])
def test_the_least_cost_within_the_limit_is_found(bend: float, monkeypatch: pytest.MonkeyPatch) -> None:
    (target, _, found), tried = searched(monkeypatch, lambda share: 0.008 + 0.1 * (bend - share))
    assert bend <= target.amount <= 1.04 * bend and found.high <= 0.01
    assert len(tried) <= 8 + len(max_drop._LOWER)


def test_a_search_that_noise_has_ended_goes_on_below(monkeypatch: pytest.MonkeyPatch) -> None:
    def loss(share: float) -> float:
        return 0.009 if 0.44 < share < 0.48 else 0.007 if share > 0.35 else 0.5

    (target, _, _), _ = searched(monkeypatch, loss)
    assert 0.35 < target.amount <= 0.35 / 0.95
    (target, _, _), tried = searched(monkeypatch, lambda share: 0.007 if share > 0.48 else 0.5)
    assert target.amount > 0.48 and len(tried) <= 8  # what is surely beyond ends it


def test_a_budget_bounds_the_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    (target, _, _), _ = searched(monkeypatch, lambda share: 0.008 + 0.1 * (0.3 - share), "macs=0.5x")
    assert 0.3 <= target.amount <= 0.312
    with pytest.raises(TargetNotMetError, match="macs=0.5x costs more than max_drop allows: at macs=0.5x it is 2.80"):
        searched(monkeypatch, lambda share: 0.008 + 0.1 * (0.7 - share), "macs=0.5x")


def test_nothing_within_the_limit_says_what_was_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TargetNotMetError, match="no smaller model loses as little.*at macs=0.9"):
        searched(monkeypatch, lambda share: 0.5)


def test_too_few_samples_are_refused_before_any_work(run: Callable[..., Run]) -> None:
    data = ["--data", "data.npz", "--labels", "label", "--samples", "2"]
    done = run("compress", "in.onnx", "out.onnx", "--max-drop", "1%", *data)
    assert done.code == 4 and "too few samples to tell" in done.error and "16 of 22 samples" in done.error
    assert "448 that no pass sees are enough" in done.error
    assert "nothing is aimed at" in run("compress", "in.onnx", "out.onnx").error


@pytest.mark.usefixtures("folder")
def test_the_report_says_both_losses() -> None:
    data = {"x": feeds(network(), 0, 480)["x"]}
    result = optimise_onnx.compress(
        network(), max_drop="30%", target="params=1x", data=data, samples=64, align=1, guard=False
    )
    assert result.report.aim.quantity.name == "params" and result.report.aim.after < result.report.aim.before
    drop = result.report.to_json()["drop"]
    assert drop["limit"] == 0.3 and drop["chosen"]["most"] <= 0.3
    assert drop["chosen"]["measured_on"] == "208 of 416 samples that no pass has seen"
    assert result.report.fidelity.samples.origin == drop["others"]["measured_on"]
    assert any("which chose nothing" in note for note in result.report.notes)
