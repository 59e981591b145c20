"""Our own values as JSON and back: dataclasses, arrays, tuples, mappings and sets of them, bit by bit.

Only dataclasses of this package, and of packages that offer passes or forms to it, are made again from a file.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from ..ir.errors import InvalidModelError

_OURS = __name__.split(".")[0]
_TYPE, _FIELDS, _ARRAY, _MAP, _SET = "type", "fields", "array", "map", "set"


def encode(value: Any) -> Any:
    """Turn a value into what :mod:`json` writes. Raises TypeError for a kind that is not ours."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {_ARRAY: [value.dtype.str, list(value.shape), data]}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, frozenset | set):
        return {_SET: [encode(item) for item in sorted(value)]}
    if isinstance(value, Mapping):
        return {_MAP: [[encode(key), encode(item)] for key, item in value.items()]}
    if is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        held = {each.name: encode(getattr(value, each.name)) for each in fields(value) if each.init}
        return {_TYPE: f"{kind.__module__}:{kind.__qualname__}", _FIELDS: held}
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


def decode(written: Any, others: Collection[str] = ()) -> Any:
    """Make a value again; lists become tuples. ``others``: packages whose dataclasses are made too.

    Raises InvalidModelError for what :func:`encode` does not write, or a class that is not known here.
    """
    if isinstance(written, list):
        return tuple(decode(item, others) for item in written)
    if not isinstance(written, dict):
        return written
    try:
        if _ARRAY in written:
            dtype, shape, data = written[_ARRAY]
            return np.frombuffer(base64.b64decode(data), np.dtype(dtype)).reshape(shape).copy()
        if _SET in written:
            return frozenset(decode(item, others) for item in written[_SET])
        if _MAP in written:
            return {decode(key, others): decode(item, others) for key, item in written[_MAP]}
        kind = _class(written[_TYPE], others)
        return kind(**{name: decode(item, others) for name, item in written[_FIELDS].items()})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InvalidModelError("the plan cannot be read", why=f"{type(error).__name__}: {error}") from error


def _class(name: str, others: Collection[str]) -> Any:
    module, _, path = name.partition(":")
    if module.split(".")[0] not in {_OURS, *others}:
        raise ValueError(f"'{module}' is none of our modules")
    kind: Any = sys.modules[module]
    for part in path.split("."):
        kind = getattr(kind, part)
    if not (isinstance(kind, type) and is_dataclass(kind)):
        raise TypeError(f"'{name}' is no dataclass")
    return kind
