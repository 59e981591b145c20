"""Every model of the zoo is valid, runs, is alive (its outputs follow its inputs) and is the same on every build."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from zoo import ARCHITECTURES, CHECKER_REFUSES, STRUCTURES, ZOO, feeds


def _run(model: onnx.ModelProto, *seeds: int) -> list[list[NDArray[Any]]]:
    """Outputs of the model as written, for random inputs of each seed."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [session.run(None, feeds(model, seed)) for seed in seeds]


@pytest.mark.parametrize("name", ZOO)
def test_the_checker_accepts_the_model(name: str) -> None:
    onnx.checker.check_model(ZOO[name](), full_check=True)


@pytest.mark.parametrize("name", ZOO | CHECKER_REFUSES)
def test_outputs_are_finite_and_follow_the_inputs(name: str) -> None:
    first, second = _run((ZOO | CHECKER_REFUSES)[name](), 0, 1)
    for one, other in zip(first, second, strict=True):
        assert np.isfinite(one).all()
        assert np.abs(one).max() < 100
        assert np.abs(one - other).max() > 1e-2


@pytest.mark.parametrize("name", ZOO)
def test_the_model_is_the_same_bytes_again(name: str) -> None:
    assert ZOO[name]().SerializeToString(deterministic=True) == ZOO[name]().SerializeToString(deterministic=True)


@pytest.mark.parametrize("name", ZOO)
def test_the_graph_bears_the_name_of_its_entry(name: str) -> None:
    assert ZOO[name]().graph.name == name


@pytest.mark.parametrize("name", CHECKER_REFUSES)
def test_the_refused_are_refused(name: str) -> None:
    with pytest.raises(onnx.checker.ValidationError):
        onnx.checker.check_model(CHECKER_REFUSES[name]())


def test_the_families_do_not_overlap() -> None:
    assert len(ZOO) == len(ARCHITECTURES) + len(STRUCTURES)


def test_feeds_skip_initializers_and_fill_symbols() -> None:
    assert list(feeds(ZOO["legacy_opset7"](), seed=0)) == ["x"]
    assert feeds(ZOO["dynamic_pixels"](), seed=0, batch=5)["x"].shape == (5, 3, 8, 12)
    assert feeds(ZOO["tied_embedding"](), seed=0)["tokens"].dtype == np.int64
