"""A report says what its figures do not tell."""

import numpy as np

from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.passes.analysis.outputs.reading import Reading
from optimise_onnx.tools.agreement import Agreement
from optimise_onnx.tools.caveats import caveats, unrepaired
from optimise_onnx.tools.evaluation import Samples
from optimise_onnx.tools.measure import Fidelity
from tests.passes.cleanup.support import build

USED = Calibration.from_arrays({"x": np.zeros((40, 3), np.float32)})


def judged(count: int, held_out: bool = True, **more: object) -> Fidelity:
    found = Agreement(samples=count, _hits=float(count), _counted=count, **more)  # type: ignore[arg-type]
    x = np.ones((count, 3), np.float32)
    if "reading" not in more:
        found.update("y", {"y": x}, {"y": x}, 0)
    return Fidelity({"y": found}, Samples(lambda: [], "", held_out), {})


def test_few_judges_are_a_warning_with_what_the_agreement_may_lose() -> None:
    (said,) = caveats(judged(10), USED)
    assert said.startswith("warning: only 10 samples judge 'y': its agreement may be 31 points lower on others")
    assert caveats(judged(40), USED) == ()


def test_fitted_samples_judge_nothing() -> None:
    (said,) = caveats(judged(64, held_out=False), USED)
    assert said.startswith("warning: all 40 samples were fitted and none is left to judge by")
    assert caveats(judged(64, held_out=False), None) == ()  # without data that goes without saying


def test_what_was_not_compared_is_named() -> None:
    (said,) = caveats(judged(40, reading=Reading(decided="TopK")), USED)
    assert said == "'y' was not compared: TopK decides its shape, and what it decides from was rewritten"


def test_layers_that_are_cut_but_not_repaired_are_counted() -> None:
    text = "(float[N, 4] x) => (float[N, 5] y) { w = DequantizeLinear(q, s) z = MatMul(x, w) y = MatMul(z, v) }"
    weights = {"q": np.ones((4, 5), np.int8), "s": np.float32(0.1), "v": np.ones((5, 5), np.float32)}
    (said,) = unrepaired(build(text, {name: np.asarray(array) for name, array in weights.items()}))
    assert said == "1 layers have quantised weights: these are cut, but not repaired"
