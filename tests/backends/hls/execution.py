"""The qonnx package's own execution of a model."""

import numpy as np
import onnx
import pytest


def execution(model: onnx.ModelProto, x: np.ndarray) -> list[np.ndarray]:
    """Return the outputs (n, ...) for samples (n, ...), one after the other; skip where qonnx is not installed."""
    wrapped = pytest.importorskip("qonnx.core.modelwrapper").ModelWrapper(model)
    (name,) = (value.name for value in model.graph.input)
    wrapped.set_tensor_shape(name, [1, *x.shape[1:]])
    wrapped = wrapped.transform(pytest.importorskip("qonnx.transformation.infer_shapes").InferShapes())
    run = pytest.importorskip("qonnx.core.onnx_exec").execute_onnx
    each = [list(run(wrapped, {name: one[None]}).values()) for one in x]
    return [np.concatenate(parts) for parts in zip(*each, strict=True)]
