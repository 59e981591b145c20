"""Agreement, differences and their tables on arrays and sessions made by hand."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest

from optimise_onnx.ir.errors import CalibrationError, UsageError, VerificationError
from optimise_onnx.ir.feeds import Feeds
from optimise_onnx.ir.graph import Array
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
    assert (found.metric, found.origin) == ({}, "made by hand")


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


def test_a_failing_metric_is_told() -> None:
    with pytest.raises(CalibrationError, match="the metric failed: KeyError"):
        measure(scaled(1, 1), scaled(1, 1), samples(X), lambda outputs, batch: float(outputs["z"]))


def test_new_infinities_and_shapes_fail() -> None:
    with pytest.raises(VerificationError, match="'y' holds NaN or Inf"):
        measure(scaled(1, 1), scaled(1, np.inf), samples(X))
    with pytest.raises(VerificationError, match=r"'y' became float32\[1, 4, 2\]: it was float32\[4, 2\]"):
        measure(scaled(1, 1), Scaled(np.ones((1, 4, 2), np.float32)), samples(X))
    measure(scaled(1, np.inf), scaled(1, np.inf), samples(X))


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
