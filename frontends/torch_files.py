"""Files of PyTorch. Reading one may run code: an unpickler calls what the file names, and programs are text that names
functions.

Without trust nothing but tensors is unpickled (``weights_only``), and a program may name PyTorch's operators only.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import ZipFile, is_zipfile

from ..ir.errors import InvalidModelError
from .given import distrusted, is_a
from .scripts import said

_FORCED = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
_LIBRARY = "data/aotinductor/"
_OBJECTS = re.compile(r"data/constants/(custom_obj|opaque_obj)")
_OPERATOR = re.compile(
    r"torch\.ops\.\w+\.\w+(\.\w+)?|torch\.sym_\w+|math\.\w+"
    r"|_operator\.(getitem|add|sub|mul|floordiv|truediv|mod|pow|neg|eq|ne|lt|le|gt|ge|and_|or_|not_)"
)
_EXPRESSION = re.compile(r"(?:[\w\s+\-*/%<>=!&|~,()]|'\w+')*")
_CALL = re.compile(r"([A-Za-z_]\w*)\s*\(")
_FUNCTION = re.compile(r"Symbol|Max|Min|\w*Mod|\w*Div|ModularIndexing|\w+To(?:Int|Float)|ToFloat|Eq|Ne|And|Or|Not")
_PICKLE = "unpickling runs any code that the file names"
_PROGRAM = "save torch.export.export(module, example) with torch.export.save as .pt2"
_FUNCTION_HINT = "return the module with its weights from a function, and give script.py:function"


def opened(path: Path, trust: bool) -> Any:
    """Return the program or the module in a file.

    Raises InvalidModelError for one that cannot be read, holds no network, or would have to be trusted.
    """
    names = _members(path)
    if any(name.endswith(("archive_format", "serialized_exported_program.json")) for name in names):
        return _program(path, trust)
    if any(name.endswith("/constants.pkl") for name in names):
        hint = "export it with torch.onnx.export(torch.jit.load(F), example, 'model.onnx', dynamo=False)"
        raise InvalidModelError(f"'{path}' is a TorchScript archive", hint=hint)
    held = _unpickled(path, trust)
    if not is_a(held, "torch.nn.modules.module.Module"):
        raise InvalidModelError(f"'{path}' holds no network", why=_described(held), hint=_FUNCTION_HINT)
    return held


def _members(path: Path) -> list[str]:
    if not is_zipfile(path):
        return []
    with ZipFile(path) as archive:
        return archive.namelist()


def _unpickled(path: Path, trust: bool) -> Any:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a file that is none, or holds more than tensors
        if not trust and "weights_only" in str(error).lower():
            raise distrusted(path, f"it holds Python objects, and {_PICKLE}", _PROGRAM) from error
        if not trust:
            raise InvalidModelError(f"cannot read '{path}'", why=said(error)) from error
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except (AttributeError, ImportError) as error:
        why = f"its classes cannot be imported: {said(error)}"
        raise InvalidModelError(f"cannot read '{path}'", why=why, hint=_FUNCTION_HINT) from error


def _described(held: object) -> str:
    if not isinstance(held, dict):
        return f"it holds a {type(held).__name__}"
    tensors = sum(is_a(value, "torch.Tensor") for value in held.values())
    if tensors == len(held):
        return f"it is a state dict: {tensors} tensors without the module that they belong to"
    return f"it is a dict of {', '.join(map(repr, list(held)[:6]))}"


def _program(path: Path, trust: bool) -> Any:
    import torch

    if trust:
        return torch.export.load(path)
    _check_program(path)
    with _tensors_only():
        return torch.export.load(path)


@contextmanager
def _tensors_only() -> Iterator[None]:
    """Let PyTorch unpickle tensors only, also where it would go on without that."""
    before = os.environ.get(_FORCED)
    os.environ[_FORCED] = "1"
    try:
        yield
    finally:
        os.environ.pop(_FORCED)
        if before is not None:
            os.environ[_FORCED] = before


def _check_program(path: Path) -> None:
    """Raise InvalidModelError for a program that carries objects or libraries, or names functions of others."""
    with ZipFile(path) as archive:
        names = archive.namelist()
        if any(_LIBRARY in name or _OBJECTS.search(name) for name in names):
            raise distrusted(path, f"it carries compiled code or pickled objects, and {_PICKLE}", _PROGRAM)
        programs = [json.loads(archive.read(name)) for name in names if _is_program(name)]
    found = next((text for program in programs for text in _texts(program) if not _harmless(*text)), None)
    if found is not None:
        raise distrusted(path, f"it names {found[1][:60]!r}, which PyTorch would run", _PROGRAM)


def _is_program(name: str) -> bool:
    return "models/" in name and name.endswith(".json") or name.endswith("serialized_exported_program.json")


def _texts(value: object) -> Iterator[tuple[str, str]]:
    """List what PyTorch looks up or evaluates: the operators of nodes, and formulas over symbols."""
    if isinstance(value, list):
        for each in value:
            yield from _texts(each)
    if not isinstance(value, dict):
        return
    for key, each in value.items():
        if key in ("target", "expr_str") and isinstance(each, str):
            yield key, each
        elif key == "range_constraints" and isinstance(each, dict):
            yield from (("expr_str", symbol) for symbol in each)
        else:
            yield from _texts(each)


def _harmless(key: str, text: str) -> bool:
    if "__" in text:
        return False
    if key == "target":
        return _OPERATOR.fullmatch(text) is not None
    return _EXPRESSION.fullmatch(text) is not None and all(map(_FUNCTION.fullmatch, _CALL.findall(text)))
