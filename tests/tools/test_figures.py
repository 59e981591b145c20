"""Agreement, differences and their tables on arrays and sessions made by hand."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest

from optimise_onnx.ir.errors import CalibrationError, UsageError, VerificationError
from optimise_onnx.ir.feeds import Feeds
from optimise_onnx.ir.graph import Array
from optimise_onnx.passes.analysis.outputs.parts import Part
from optimise_onnx.passes.analysis.outputs.reading import Reading
from optimise_onnx.tools.agreement import Agreement
from optimise_onnx.tools.compare import difference, differences
from optimise_onnx.tools.evaluation import Samples
from optimise_onnx.tools.measure import accuracy, measure


@dataclass
class Scaled:
    """A session that multiplies its input and counts its runs."""

    factor: Array
    runs: int = 0

    def run(self, feeds: Mapping[str, Array]) -> Feeds:
        self.runs += 1
        return {"y": feeds["x"] * self.factor}


def samples(*batches: Array, **others: Array) -> Samples:
    return Samples(lambda: [{"x": batch, **others} for batch in batches], "made by hand")


def scaled(*factor: float) -> Scaled:
    return Scaled(np.array(factor, np.float32))


X = np.array([[1, 2], [2, 1], [3, 4], [5, 3]], np.float32)


def test_agreement_adds_up_over_batches() -> None:
    found = measure(scaled(1, 1), scaled(1, 3), samples(X[:1], X[1:]))
    assert found.outputs["y"].same == 0.5  # the second and the fourth sample change their largest entry
    assert found.outputs["y"].error == pytest.approx(np.linalg.norm(2 * X[:, 1]) / np.linalg.norm(X))
    assert (found.metric, found.samples.origin) == ({}, "made by hand")


def test_integers_agree_where_they_are_equal() -> None:
    found = measure(Scaled(np.array([1, 1])), Scaled(np.array([1, 2])), samples(np.array([[3, 0], [3, 1]])))
    assert found.outputs["y"].same == 0.75


def test_images_have_no_largest_entry() -> None:
    assert measure(scaled(1, 1), scaled(1, 2), samples(X[None])).outputs["y"].same is None


def test_a_metric_is_weighted_by_batch_length() -> None:
    labels = np.array([1, 1, 1, 1])
    batches = Samples(lambda: [{"x": X[:1], "l": labels[:1]}, {"x": X[1:], "l": labels[1:]}], "")
    assert measure(scaled(1, 1), scaled(1, 3), batches, accuracy("l")).metric == {"accuracy": (0.5, 1.0)}


def test_labels_that_are_no_classes_ask_for_a_metric() -> None:
    with pytest.raises(UsageError, match="needs one class number a sample"):
        measure(scaled(1, 1), scaled(1, 1), samples(X, l=np.zeros((4, 2))), accuracy("l"))


def test_whole_numbers_are_equal_or_not() -> None:
    found = Agreement()
    found.update("label", {"label": np.array([3, 1, 2, 0])}, {"label": np.array([3, 1, 0, 0])}, 4)
    assert (found.same, found.error) == (0.75, None)


def test_a_failing_metric_is_told() -> None:
    with pytest.raises(CalibrationError, match="the metric failed: KeyError"):
        measure(scaled(1, 1), scaled(1, 1), samples(X), lambda outputs, batch: float(outputs["z"]))


def test_new_shapes_and_what_is_not_finite_fail() -> None:
    with pytest.raises(VerificationError, match="'y' holds Inf: 4 of 8 numbers"):
        measure(scaled(1, 1), scaled(1, np.inf), samples(X))
    with pytest.raises(VerificationError, match="'y' holds NaN"):
        measure(scaled(1, np.nan), scaled(1, np.nan), samples(X))
    with pytest.raises(VerificationError, match=r"'y' became float32\[1, 4, 2\]: it was float32\[4, 2\]"):
        measure(scaled(1, 1), Scaled(np.ones((1, 4, 2), np.float32)), samples(X))
    with pytest.raises(VerificationError, match="'y' holds -Inf at other places"):
        measure(scaled(1, -np.inf), scaled(-np.inf, 1), samples(X))


def test_what_masks_write_is_no_difference() -> None:
    found = measure(scaled(2, -np.inf), scaled(3, -np.inf), samples(X)).outputs["y"]
    assert (found.same, found.error) == (1, pytest.approx(0.5))


def test_rows_of_different_scale_err_alike() -> None:
    read = {"y": Reading(parts=(Part("y", "y", "Gemm", rows=1),))}
    found = measure(scaled(1, 1000), scaled(2, 1000), samples(X), None, read).outputs["y"]
    assert found.error == pytest.approx(np.sqrt(0.5)) and found.parts["y"].error == found.error


def test_quantised_scores_agree_by_their_class_and_err_from_their_zero() -> None:
    read = {"y": Reading(zero=10.0)}
    before, after = (Scaled(np.array([1, factor], np.int8)) for factor in (1, 2))
    found = measure(before, after, samples(np.array([[30, 20], [50, 11]], np.int8)), None, read).outputs["y"]
    assert found.same == 0.5
    wanted = np.array([[20, 10], [40, 1]])
    missed = np.array([[0, 20], [0, 11]])
    assert found.error == pytest.approx(np.linalg.norm(missed) / np.linalg.norm(wanted))


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    for share, count in ((0.9, 30), (0.6, 100), (1.0, 10)):
        inside = 0
        for _ in range(200):
            hits = rng.random(count) < share
            low, high = Agreement(_hits=float(hits.sum()), _counted=count).interval or (2, 2)
            inside += low <= share <= high
        assert inside >= 186


@pytest.mark.parametrize(
    ("a", "b", "absolute", "relative", "within"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0, 0, True),
        ([100.0], [100.05], 0.05, 5e-4, True),
        ([100.0], [101.0], 1, 0.01, False),
        ([0.0], [5e-6], 5e-6, np.inf, True),
        ([np.nan, np.inf], [np.nan, np.inf], 0, 0, True),
        ([1.0], [np.nan], np.inf, np.inf, False),
        ([np.nan], [1.0], np.inf, np.inf, False),
        ([np.inf], [-np.inf], np.inf, np.inf, False),
    ],
)
def test_differences_of_arrays(a: list[float], b: list[float], absolute: float, relative: float, within: bool) -> None:
    found = difference(np.array(a), np.array(b), 1e-5, 1e-3)
    assert (found.absolute, found.relative) == (pytest.approx(absolute), pytest.approx(relative))
    assert found.within is within


def test_differences_keep_the_worst_batch() -> None:
    found = differences(scaled(1, 1), scaled(1, 2), samples(X[2:], X[:2]), 1e-5, 1e-3)["y"]
    assert (found.absolute, found.relative, found.within) == (4, 1, False)
    with pytest.raises(VerificationError, match="has shapes"):
        differences(scaled(1, 1), Scaled(np.ones((1, 4, 2))), samples(X), 0, 0)
