"""A report says what its figures do not tell."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.passes.analysis.outputs.reading import Reading
from optimise_onnx.tools.agreement import Agreement
from optimise_onnx.tools.caveats import caveats, unrepaired
from optimise_onnx.tools.evaluation import Samples
from optimise_onnx.tools.measure import Fidelity
from tests.passes.cleanup.support import build

from .conftest import Run

USED = Calibration.from_arrays({"x": np.zeros((40, 3), np.float32)})


def judged(count: int, held_out: bool = True, **more: object) -> Fidelity:
    found = Agreement(samples=count, _hits=float(count), _counted=count, **more)  # type: ignore[arg-type]
    x = np.eye(3, dtype=np.float32)[np.arange(count) % 3]
    if "reading" not in more:
        found.update("y", {"y": x}, {"y": x}, 0)
    return Fidelity({"y": found}, Samples(lambda: [], "", held_out), {})


def test_few_judges_are_a_warning_with_what_the_agreement_may_lose() -> None:
    (said,) = caveats(judged(10), USED)
    assert said.startswith("warning: only 10 samples judge 'y': its agreement may be 69 to 100 % on others")
    assert caveats(judged(40), USED) == ()
    alike = judged(1)
    alike.outputs["y"].update("y", {"y": np.eye(3)[[0] * 63]}, {"y": np.eye(3)[[0] * 63]}, 63)
    assert caveats(alike, USED)[0].startswith("of 3 classes of 'y' the samples that judge it show 1")
    none = judged(1)
    none.outputs["y"]._hits = 0.0
    assert caveats(none, USED)[0].startswith("warning: only 1 sample judges 'y': its agreement may be 0 to 98 %")


def test_classes_that_no_sample_shows_are_not_judged() -> None:
    rng = np.random.default_rng(0)
    for classes, said in ((200, 1), (99, 0)):
        scores = np.zeros((64, 5, classes), np.float32)
        np.put_along_axis(scores, rng.integers(0, 40, (64, 5, 1)), 1.0, 2)
        found = Agreement(Reading(classes=2))
        found.update("y", {"y": scores}, {"y": scores}, 64)
        told = caveats(Fidelity({"y": found}, Samples(lambda: [], "", True), {}), USED)
        assert len(told) == said
        assert all(each.startswith("of 200 classes of 'y' the samples that judge it show 40: how") for each in told)
    every = np.eye(200, dtype=np.float32)
    found.update("y", {"y": every}, {"y": every}, 200)
    assert found.shown == 200 and not caveats(Fidelity({"y": found}, Samples(lambda: [], "", True), {}), USED)


def test_fitted_samples_judge_nothing() -> None:
    found = judged(64, held_out=False)
    assert caveats(found, None) == () and found.told  # random inputs, without data
    mute = replace(found, samples=replace(found.samples, judges=False))
    (said,) = caveats(mute, USED)
    assert said.startswith("warning: all samples (40) were fitted and none is left to judge by") and not mute.told


def test_of_one_sample_nothing_is_claimed(folder: Path, run: Callable[..., Run]) -> None:
    with np.load(folder / "data.npz") as stored:
        np.savez(folder / "one.npz", **{name: stored[name][:1] for name in stored.files})
    asked = ("--target", "macs=0.6x", "--data", "one.npz", "--labels", "label", "--report", "r.json", "--align", "1")
    found = run("compress", "in.onnx", "-o", "out.onnx", *asked, "--no-guard")
    report = json.loads((folder / "r.json").read_text())
    assert (found.code, report["agreement"]["outputs"], report["metric"]) == (0, {}, {})
    assert "agreement" not in found.out and "warning: all samples (1) were fitted" in found.out


def test_what_was_not_compared_is_named() -> None:
    (said,) = caveats(judged(40, reading=Reading(decided="TopK")), USED)
    assert said == "'y' was not compared: TopK decides its shape, and what it decides from was rewritten"


def test_layers_that_are_cut_but_not_repaired_are_counted() -> None:
    text = "(float[N, 4] x) => (float[N, 5] y) { w = DequantizeLinear(q, s) z = MatMul(x, w) y = MatMul(z, v) }"
    weights = {"q": np.ones((4, 5), np.int8), "s": np.float32(0.1), "v": np.ones((5, 5), np.float32)}
    arrays = {name: np.asarray(array) for name, array in weights.items()}
    assert unrepaired(build(text, arrays)) == ()
    blocked = text.replace("DequantizeLinear(q, s)", "DequantizeLinear<axis=0, block_size=2>(q, s)")
    (said,) = unrepaired(build(blocked, arrays | {"s": np.ones((2, 5), np.float32)}, 21))
    assert said == "1 layers are quantised in a way that is not repaired after channels have gone"
