"""``hls --front``: a pruned model and the one of before, each within three error budgets."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from optimise_onnx.backends.hls.fixed import Fixed
from optimise_onnx.backends.hls.network import Dense, Flatten, Input, Network
from optimise_onnx.backends.hls.precision import Types
from optimise_onnx.tools.hls.front import Point, marked, multiplier_bits, weight_bits

from .conftest import Run
from .hls_case import HLS, model, needs_hls4ml, place

__all__ = ["place"]


def test_multiplier_bits_leave_zeros_out() -> None:
    weight = np.array([[1.0, 0.0, 3.0], [0.0, 0.0, 2.0]])
    layers = (Input("x", (), (2,), "x"), Dense("d", ("x",), (3,), "d", weight, np.zeros(3)))
    precision = {"x": Types(Fixed(5, 2)), "d": Types(Fixed(20, 9), weight=Fixed(3, 3))}
    assert multiplier_bits(Network(layers, ("d",)), precision) == 3 * 3 * 5
    assert weight_bits(Network(layers, ("d",)), precision) == 3
    flat = (layers[0], Flatten("f", ("x",), (2,), "f"))
    assert multiplier_bits(Network(flat, ("f",)), {"x": precision["x"], "f": precision["x"]}) == 0


def test_what_no_other_point_beats_is_marked() -> None:
    def point(bits: int, error: float, same: float | None) -> Point:
        return Point("m", 0.02, 8.0, bits, error, same)

    by_class = [point(10, 0.1, 0.9), point(12, 0.1, 0.9), point(20, 0.3, 1.0), point(5, 0.1, 0.8), point(5, 0.1, 0.7)]
    assert [one.best for one in marked(by_class)] == [True, False, True, True, False]
    by_error = [replace(one, same_class=None) for one in by_class]
    assert [one.best for one in marked(by_error)] == [False, False, False, True, True]


@needs_hls4ml
def test_two_models_within_three_budgets(place: Path, run: Callable[..., Run]) -> None:
    onnx.save(model(8), place / "before.onnx")
    data = ("--no-csim", "--data", "data.npz", "--labels", "label", "--samples", "24")
    found = run(*HLS, *data, "--compare", "before.onnx", "--front", "--max-error", "0.1")
    assert found.code == 0 and "pruned and typed, against before.onnx" in found.out
    points = json.loads((place / "made" / "report.json").read_text())["front"]
    assert [point["model"] for point in points] == ["before.onnx"] * 3 + ["in.onnx"] * 3
    assert [point["max_error"] for point in points] == [0.05, 0.1, 0.2] * 2
    bits = [point["multiplier_bits"] for point in points]
    assert bits == sorted(bits[:3], reverse=True) + sorted(bits[3:], reverse=True)
    assert all(after < before for before, after in zip(bits[:3], bits[3:], strict=True))
    assert all(point["error"] <= 0.3 for point in points[:3]) and any(point["best"] for point in points)
    assert "| before.onnx | 0.05 |" in (place / "made" / "report.md").read_text()
    found = run(*HLS, *data, "--front")
    assert (found.code, found.error) == (
        2, "a front needs the model of before, and data (give --compare and --data)"
    )  # fmt: skip
