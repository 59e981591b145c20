"""JAX: functions, and modules of Flax NNX and Equinox, by jax2onnx."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from ..ir.errors import InvalidModelError
from .given import Given, library
from .scripts import said

_BATCH = "B"


class Jax:
    """Exports whatever can be called and no other front end takes, with an open batch."""

    def reads(self, source: object) -> bool:
        """Whether it can be called."""
        return callable(source)

    def load(self, source: object, given: Given) -> onnx.ModelProto:
        """Export. Raises InvalidModelError without an example, UsageError without jax2onnx."""
        jax2onnx = library("jax2onnx", source, "jax")
        if given.example_inputs is not None:
            args, named = given.arguments()
            shapes = {str(number): np.shape(value) for number, value in enumerate((*args, *named.values()))}
        else:
            shapes = {name: tuple(shape) for name, shape in given.input_shapes.items()}
        if not shapes:
            hint = "give example_inputs in Python, or return (function, example) from script.py:function"
            raise InvalidModelError("a JAX function is exported with an example of its inputs", hint=hint)
        try:
            model: onnx.ModelProto = jax2onnx.to_onnx(source, [_open(shape) for shape in shapes.values()])
        except Exception as error:  # all that tracing can meet
            raise InvalidModelError("jax2onnx cannot export the function", why=said(error)) from error
        return model


JAX = Jax()


def _open(shape: tuple[int, ...]) -> Any:
    return (_BATCH, *shape[1:]) if shape else shape
