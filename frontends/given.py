"""What a user says beside a model of another framework, and how front ends find the framework."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from ..ir.errors import InvalidModelError, UsageError


@dataclass(frozen=True)
class Given:
    """What a model's file may lack.

    ``example_inputs`` are what the model is called with: one array or tensor, a tuple of them, or a dict by name;
    ``input_shapes`` whole shapes by name, for models without examples. ``trust`` allows to run code that a file names.
    """

    example_inputs: Any = None
    input_shapes: Mapping[str, Sequence[int]] = field(default_factory=dict)
    trust: bool = False

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the example as positional and named arguments."""
        if isinstance(self.example_inputs, Mapping):
            return (), dict(self.example_inputs)
        if isinstance(self.example_inputs, tuple | list):
            return tuple(self.example_inputs), {}
        return (self.example_inputs,), {}


NOTHING = Given()


def is_a(source: object, *kinds: str) -> bool:
    """Whether an object is of one of these classes, given as ``module.Class``, none of which is imported."""
    return any(f"{kind.__module__}.{kind.__qualname__}" in kinds for kind in type(source).__mro__)


def suffix(source: object) -> str:
    """Return the suffix of a path in small letters; nothing for an object."""
    return Path(source).suffix.lower() if isinstance(source, str | Path) else ""


def library(name: str, source: object, extra: str) -> Any:
    """Import what a front end needs. Raises UsageError where it is not installed, or does not load."""
    try:
        return import_module(name)
    except ImportError as error:
        missing = (error.name or name).partition(".")[0]
        hint = f"pip install '{missing}', or 'optimise-onnx[{extra}]'"
        raise UsageError(f"reading {called(source)} needs {missing}", why=str(error), hint=hint) from error


def distrusted(source: object, why: str, hint: str) -> InvalidModelError:
    """Say that a file could run any code when it is read, and how to read it all the same."""
    return InvalidModelError(f"{called(source)} is not read", why=why, hint=f"{hint}; --trust reads it, if you made it")


def called(source: object) -> str:
    """Say what a source is called in messages."""
    return f"'{source}'" if isinstance(source, str | Path) else "the model"


def existing(source: object) -> Path:
    """Return the path of a file that is there. Raises InvalidModelError."""
    path = Path(str(source))
    if not path.exists():
        raise InvalidModelError(f"cannot read '{path}'", why="no such file")
    return path
