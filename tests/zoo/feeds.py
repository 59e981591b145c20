"""Random inputs for a model, symbolic sizes filled in."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

# H and W differ, so that a swap of the two shows.
SYMBOLIC_SIZES = {"H": 8, "W": 12, "S": 6}
TOKENS = 16  # every embedding table of the zoo has at least this many rows


def feeds(model: onnx.ModelProto, seed: int, batch: int = 2) -> dict[str, NDArray[Any]]:
    """One random array per graph input that is not an initializer.

    Floats are standard normal, integers are token ids below `TOKENS`, booleans are fair coins. The symbol "N"
    becomes `batch`, the others come from `SYMBOLIC_SIZES`.

    Raises
    ------
    KeyError : a symbol that is not known here.
    """
    rng = np.random.default_rng(seed)
    sizes = {"N": batch, **SYMBOLIC_SIZES}
    constants = {t.name for t in model.graph.initializer}
    arrays: dict[str, NDArray[Any]] = {}
    for value in model.graph.input:
        if value.name in constants:
            continue
        tensor = value.type.tensor_type
        shape = [sizes[d.dim_param] if d.dim_param else d.dim_value for d in tensor.shape.dim]
        arrays[value.name] = _random(rng, shape, helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    return arrays


def _random(rng: np.random.Generator, shape: list[int], dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind == "f":
        return np.asarray(rng.standard_normal(shape)).astype(dtype)
    if dtype.kind == "b":
        return np.asarray(rng.integers(0, 2, shape)).astype(dtype)
    return np.asarray(rng.integers(0, TOKENS, shape)).astype(dtype)
