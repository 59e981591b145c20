"""``compress`` with a target of latency and with the guard, on a command whose answers are arithmetic."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from oracle import graph_of

from optimise_onnx.backends.latency.local import LocalDevice
from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.quantity import LATENCY
from optimise_onnx.ir.timing import Latency
from optimise_onnx.passes.search import meet_target
from optimise_onnx.tools import outcome
from optimise_onnx.tools.evaluation import at_random
from optimise_onnx.tools.report import Aim
from optimise_onnx.tools.settings import Settings

from .conftest import Run, network
from .test_commands import widths

WHOLE = ("compress", "in.onnx", "-o", "out.onnx", "--report", "r.json", "--no-provenance")
MACS = (*WHOLE, "--target", "macs=0.6x")
Runs = Callable[..., Run]


def nothing_written(folder: Path) -> bool:
    return not {path.name for path in folder.iterdir()} & {"out.onnx", "r.json"}


@pytest.mark.parametrize("data", [(), ("--data", "data.npz", "--labels", "label")])
def test_a_share_of_the_time(folder: Path, run: Runs, device: str, data: tuple[str, ...]) -> None:
    found = run(*WHOLE, *data, "--target", "latency=0.6x", "--latency-command", device)
    assert (found.code, found.err) == (0, "")
    assert "aimed at" in found.out and "(predicted 0." in found.out
    told = json.loads((folder / "r.json").read_text())["aim"]
    sizes = [(folder / name).stat().st_size / 1e6 for name in ("in.onnx", "out.onnx")]
    assert told["before"] == pytest.approx(sizes[0], rel=0.05)
    assert told["after"] == told["least"] == pytest.approx(sizes[1], rel=0.05)
    assert 0.5 * told["before"] < told["after"] <= 0.6 * told["before"]
    assert told["predicted"] == pytest.approx(told["after"] / told["before"], rel=0.1)
    onnx.checker.check_model(onnx.load(folder / "out.onnx"))


def test_milliseconds_and_what_is_in_time_already(folder: Path, run: Runs, device: str) -> None:
    whole = (folder / "in.onnx").stat().st_size / 1e3
    assert run(*WHOLE, "--target", f"latency={0.7 * whole}ms", "--latency-command", device).code == 0
    assert (folder / "out.onnx").stat().st_size <= 0.7 * 1e3 * whole * 1.05
    found = run(*WHOLE, "--target", f"latency={2 * whole}ms", "--latency-command", device, "-v")
    assert found.code == 0 and "is met already" in found.out
    assert widths(folder / "out.onnx") == widths(folder / "in.onnx")


@pytest.mark.parametrize("data", [(), ("--data", "data.npz", "--labels", "label")])
def test_out_of_reach_writes_only_what_is_allowed(folder: Path, run: Runs, device: str, data: tuple[str, ...]) -> None:
    wanted = (*WHOLE, *data, "--target", "latency=0.01x", "--latency-command", device)
    found = run(*wanted)
    assert (found.code, found.out) == (4, "")
    assert "latency=0.01x cannot be reached: the least latency that was found is 0." in found.error
    assert nothing_written(folder)
    partial = run(*wanted, "--allow-partial")
    assert partial.code == 4 and "was not met" in partial.error
    before, after = (widths(folder / name) for name in ("in.onnx", "out.onnx"))
    assert sum(after.values()) < 0.2 * sum(before.values())
    assert json.loads((folder / "r.json").read_text())["aim"]["predicted"] < 0.6


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ((0.58, 0.59, 0.6), ""),
        (
            (0.11, 0.59, 0.61),
            "too noisy to tell whether latency=0.6x is met: it takes 590 ms, the limit is",
        ),
        ((0.11, 0.736, 0.77), "it may be 110 ms to 770 ms"),
        ((0.604, 0.604, 0.604), "latency=0.6x was not met: it takes 604 ms, the limit is 600 ms"),
        ((0.61, 0.62, 0.63), "it takes 620 ms, the limit is 600 ms"),
    ],
)
def test_a_target_is_met_where_the_whole_interval_is_within(
    folder: Path, run: Runs, device: str, monkeypatch: pytest.MonkeyPatch, ends: tuple[float, float, float], said: str
) -> None:
    """What is measured in the end counts, whatever the search has measured."""
    least, after, most = ends
    monkeypatch.setattr(outcome, "_aim", lambda *_: Aim(LATENCY, 1.0, after, least, most))
    wanted = (*WHOLE, "--target", "latency=0.6x", "--latency-command", device)
    found = run(*wanted)
    assert found.code == (4 if said else 0) and nothing_written(folder) == bool(said)
    if said:
        assert said in found.error
        assert run(*wanted, "--allow-partial").code == 4
        assert not nothing_written(folder)


def samples_of(shares: list[float]) -> Latency:
    return Latency(np.array([[[2.0, 2 * share]] * 2 for share in shares]), None, 1)


@pytest.mark.parametrize(("target", "times"), [("latency=0.6x", 3), ("latency=1200ms", 3), ("macs=0.6x", 1)])
def test_it_is_measured_until_the_target_is_out_of_the_interval(
    monkeypatch: pytest.MonkeyPatch, target: str, times: int
) -> None:
    """Two noisy measurements, then one that is sure; a target that is counted takes one."""
    answers = [samples_of([0.5, 0.7] * 5), samples_of([0.5, 0.7] * 5), samples_of([0.55] * 100)]
    asked: list[object] = []
    monkeypatch.setattr(OrtRunner, "compare", lambda *given: asked.append(given) or answers[len(asked) - 1])
    model = graph_of(network(1))
    samples = at_random(model, OrtRunner(1).session(model), 0)
    found = outcome.timed(model, model, Settings.parse(target), samples)
    assert len(asked) == times and found.ratio.high == (0.55 if times == 3 else 0.7)
    asked.clear()
    monkeypatch.setattr(outcome, "PATIENCE", 0.0)
    assert outcome.timed(model, model, Settings.parse(target), samples).rounds == 10


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("sys.exit('no board')", 3, "the latency command ended with code 1: no board"),
        ("print('soon')", 2, "printed no milliseconds at its end: it printed 'soon'"),
    ],
)
def test_a_device_that_does_not_answer(folder: Path, run: Runs, device: str, text: str, code: int, said: str) -> None:
    (folder / "device.py").write_text(f"import sys\n{text}\n")
    found = run(*WHOLE, "--target", "latency=0.6x", "--latency-command", device)
    assert (found.code, found.out) == (code, "")
    assert said in found.error
    assert nothing_written(folder)


def test_a_command_without_a_place_for_the_model(folder: Path, run: Runs) -> None:
    found = run(*WHOLE, "--target", "latency=0.6x", "--latency-command", "time-it")
    assert found.code == 2 and "has no {model}" in found.error


@pytest.mark.parametrize("allocation", ["uniform", "bisect"])
def test_other_allocations_know_no_latency(run: Runs, device: str, allocation: str) -> None:
    asked = ("--target", "latency=0.6x", "--latency-command", device, "--data", "data.npz", "--labels", "label")
    found = run(*WHOLE, *asked, "--allocation", allocation)
    assert found.code == 2 and f"allocation={allocation} knows no latency" in found.error


@pytest.fixture
def four(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which multiples of four pay."""
    monkeypatch.setattr(LocalDevice, "multiple", lambda _: 4)


def slow(monkeypatch: pytest.MonkeyPatch, times: int) -> list[object]:
    """Let the guard find that many models slower; return what it looked at."""
    seen: list[object] = []

    def slower(found: object) -> bool:
        seen.append(found)
        return len(seen) <= times

    monkeypatch.setattr(meet_target, "_slower", slower)
    return seen


def test_the_guard_refuses_what_is_slower_at_all_widths(
    folder: Path, run: Runs, four: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = slow(monkeypatch, 100)
    found = run(*MACS)
    assert (found.code, found.out) == (4, "")
    assert "the smaller model is not faster" in found.error and "--no-guard" in found.error
    assert len(seen) == 3  # widths as chosen, multiples of four, of two
    assert nothing_written(folder)


def test_without_the_guard_it_is_written(folder: Path, run: Runs, four: None, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = slow(monkeypatch, 100)
    assert run(*MACS, "--no-guard").code == 0
    assert seen == [] and not nothing_written(folder)


def test_the_guard_takes_multiples_of_what_pays(
    folder: Path, run: Runs, four: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    single = ("--align", "1")
    assert run(*MACS, *single).code == 0
    assert any(width % 4 for width in widths(folder / "out.onnx").values())
    seen = slow(monkeypatch, 1)
    assert run(*MACS, *single).code == 0
    assert len(seen) == 2
    assert all(width % 4 == 0 for width in widths(folder / "out.onnx").values())
    report = json.loads((folder / "r.json").read_text())
    assert report["after"]["macs"] <= 0.6 * report["before"]["macs"]
    assert any("align=4" in step["text"] for step in report["passes"])


def test_under_a_target_of_latency_the_guard_is_not_asked(
    run: Runs, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = slow(monkeypatch, 100)
    assert run(*WHOLE, "--target", "latency=0.6x", "--latency-command", device).code == 0
    assert seen == []


@pytest.mark.parametrize(("align", "multiple"), [("auto", 2), ("8", 8), ("1", 1)])
def test_align(folder: Path, run: Runs, four: None, align: str, multiple: int) -> None:
    """By itself four, halved for these narrow layers: two."""
    assert run(*MACS, "--align", align).code == 0
    before, after = (widths(folder / name) for name in ("in.onnx", "out.onnx"))
    assert all(after[name] == before[name] or after[name] % multiple == 0 for name in after)
    text = next(
        step["text"] for step in json.loads((folder / "r.json").read_text())["passes"] if "allocate" in step["text"]
    )
    assert ("align" in text) == (align != "1")


@pytest.mark.parametrize("align", ["0", "x", "-4", "1.5", ""])
def test_align_that_is_no_width(folder: Path, run: Runs, align: str) -> None:
    found = run(*MACS, f"--align={align}")
    assert found.code == 2 and found.out == "" and "is no width" in found.err
    assert nothing_written(folder)


def test_a_pipeline_asks_the_device_too(folder: Path, run: Runs, device: str) -> None:
    steps = "select-channels{criterion=magnitude},allocate{target=latency=0.6x},remove-channels,reconstruct"
    asked = ("run", "in.onnx", "-o", "out.onnx", "--passes", f"fold-constants,fold-batch-norm,{steps}")
    assert run(*asked, "--latency-command", device).code == 0
    before, after = ((folder / name).stat().st_size for name in ("in.onnx", "out.onnx"))
    assert 0.45 * before < after <= 0.63 * before


def test_a_pipeline_knows_what_pays_here(folder: Path, run: Runs, four: None) -> None:
    for align, multiple in ((0, 2), (8, 8)):
        steps = f"select-channels{{criterion=magnitude}},allocate{{target=macs=0.6x,align={align}}},remove-channels"
        assert run("run", "in.onnx", "-o", "out.onnx", "--passes", f"fold-constants,fold-batch-norm,{steps}").code == 0
        before, after = (widths(folder / name) for name in ("in.onnx", "out.onnx"))
        assert after != before and all(w == before[name] or w % multiple == 0 for name, w in after.items())
