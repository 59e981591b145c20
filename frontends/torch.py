"""PyTorch: modules and exported programs in memory, ``.pt2`` files, and pickled modules where they are trusted."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import onnx

from ..ir.errors import InvalidModelError
from .given import Given, existing, is_a, library, suffix
from .scripts import said

MODULE = "torch.nn.modules.module.Module"
PROGRAM = "torch.export.exported_program.ExportedProgram"
_EXTRA = "torch"
_ELSE = "export it by hand with torch.onnx.export, also with dynamo=False"


class Torch:
    """Exports with ``torch.onnx.export``; parameters keep their names, the batch is left open where it can be."""

    def reads(self, source: object) -> bool:
        """Whether it is a module, a program, or a file called ``.pt2``, ``.pt`` or ``.pth``."""
        return is_a(source, MODULE, PROGRAM) or suffix(source) in (".pt2", ".pt", ".pth")

    def load(self, source: object, given: Given) -> onnx.ModelProto:
        """Export. Raises InvalidModelError for what holds no network or lacks an example, UsageError without torch."""
        path = None if is_a(source, MODULE, PROGRAM) else existing(source)
        library("torch", source, _EXTRA)
        library("onnxscript", source, _EXTRA)
        if path is not None:
            from .torch_files import opened

            source = opened(path, given.trust)
        if is_a(source, PROGRAM):
            return _exported(source, "the program")
        with evaluating(source):
            return _module(source, *_arguments(source, given))


TORCH = Torch()


@contextmanager
def evaluating(module: Any) -> Iterator[None]:
    """Put a module and all in it into evaluation mode, and back."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def _arguments(module: Any, given: Given) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments to export with. Raises InvalidModelError where nothing tells them."""
    import torch

    if given.example_inputs is not None:
        args, named = given.arguments()
        return tuple(map(_tensor, args)), {name: _tensor(value) for name, value in named.items()}
    parameters = inspect.signature(module.forward).parameters.values()
    needed = [
        p.name for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    ]
    missing = [name for name in needed if name not in given.input_shapes]
    if missing or not given.input_shapes:
        name = missing[0] if missing else "x"
        why = f"nothing says what '{name}' of its forward looks like"
        hint = f"--input-shape {name}:1,3,224,224 for images of that size, or example_inputs in Python"
        raise InvalidModelError("a PyTorch module is exported with an example of its inputs", why=why, hint=hint)
    return (), {name: torch.randn(tuple(shape)) for name, shape in given.input_shapes.items()}


def _tensor(value: Any) -> Any:
    import torch

    return torch.from_numpy(value) if is_a(value, "numpy.ndarray") else value


def _module(module: Any, args: tuple[Any, ...], named: dict[str, Any]) -> onnx.ModelProto:
    """Export with the leading axis of all tensors open, or as it is where the network does not allow that."""
    import torch
    from torch.utils._pytree import tree_map

    try:
        given = inspect.signature(module.forward).bind(*args, **named)
    except TypeError as error:
        raise InvalidModelError("the example inputs are no arguments of the module", why=str(error)) from error
    args, named = tree_map(_several, (given.args, given.kwargs))
    batch = torch.export.Dim("batch")
    axes = tree_map(lambda value: {0: batch} if torch.is_tensor(value) and value.ndim else None, given.arguments)
    try:
        return _exported(module, "the module", args, kwargs=named, dynamic_shapes=dict(axes))
    except InvalidModelError:
        return _exported(module, "the module", given.args, kwargs=given.kwargs)


def _several(value: Any) -> Any:
    """Repeat a batch of one sample, which an export would fix."""
    import torch

    alone = torch.is_tensor(value) and value.ndim and value.shape[0] == 1
    return torch.cat([value, value]) if alone else value


def _exported(source: Any, what: str, args: tuple[Any, ...] = (), **options: Any) -> onnx.ModelProto:
    import torch

    try:
        program = torch.onnx.export(source, args, dynamo=True, verbose=False, **options)
    except Exception as error:  # all that tracing can meet
        while error.__cause__ is not None and isinstance(error.__cause__, Exception):
            error = error.__cause__
        raise InvalidModelError(f"PyTorch cannot export {what}", why=said(error), hint=_ELSE) from error
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    return model
