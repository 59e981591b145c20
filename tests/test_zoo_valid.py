"""Every model of the zoo is valid, runs, is alive (its outputs follow its inputs) and is the same on every build."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from zoo import CHECKER_REFUSES, ZOO, feeds


def _run(model: onnx.ModelProto, *seeds: int) -> list[list[NDArray[Any]]]:
    """Outputs of the model as written, for random inputs of each seed."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [session.run(None, feeds(model, seed)) for seed in seeds]


@pytest.mark.parametrize("name", CHECKER_REFUSES)
def test_the_refused_are_refused(name: str) -> None:
    with pytest.raises(onnx.checker.ValidationError):
        onnx.checker.check_model(CHECKER_REFUSES[name]())


def test_models_are_valid_alive_and_the_same_again() -> None:
    wrong = [name for name, make in (ZOO | CHECKER_REFUSES).items() if not _sound(name, make())]
    again = [name for name, make in ZOO.items() if make() != make()]
    assert (wrong, again) == ([], [])


def _sound(name: str, model: onnx.ModelProto) -> bool:
    if name in ZOO:
        onnx.checker.check_model(model, full_check=True)
    pairs = list(zip(*_run(model, 0, 1), strict=True))
    bounded = all(np.isfinite(one).all() and np.abs(one).max() < 100 for one, _ in pairs)
    return model.graph.name == name and bounded and all(np.abs(one - other).max() > 1e-2 for one, other in pairs)


def test_feeds_skip_initializers_and_fill_symbols() -> None:
    assert list(feeds(ZOO["legacy_opset7"](), seed=0)) == ["x"]
    assert feeds(ZOO["dynamic_pixels"](), seed=0, batch=5)["x"].shape == (5, 3, 8, 12)
    assert feeds(ZOO["tied_embedding"](), seed=0)["tokens"].dtype == np.int64
