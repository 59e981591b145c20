"""Pipelines as text: ``name{option=value,option=value},name2``, printed and parsed.

Values print bare, or as a JSON string when they hold one of ``" , ; { }`` or are empty; braces may be bare where they
match. A tuple joins its items with ``;``; ``none`` is None.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from ..ir.errors import UsageError
from .base import Pass

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|.', re.DOTALL)
_BARE = re.compile(r'[^",;{}]+')
_NAME = re.compile(r"\s*(?P<name>[\w.-]+)\s*(?:\{(?P<options>.*)\})?\s*", re.DOTALL)
_WORDS = {"true": True, "false": False}


def text(step: Any) -> str:
    """Print a pass as it parses, options that have their default left out."""
    given = [
        f"{_dashed(f.name)}={_printed(getattr(step, f.name))}"
        for f in fields(step)
        if getattr(step, f.name) != _default(f)
    ]
    return str(step.name) + (f"{{{','.join(given)}}}" if given else "")


def join(steps: Iterable[Any]) -> str:
    """Print a pipeline."""
    return ",".join(text(step) for step in steps)


def parse(pipeline: str, table: Mapping[str, type[Pass]]) -> tuple[Pass, ...]:
    """Build the passes that ``pipeline`` names. Raises UsageError for an unknown pass or option, or a wrong value."""
    parts = [part for part in _split(pipeline, ",") if part.strip()]
    if not parts:
        raise UsageError("the pipeline names no pass", hint=_listed("known passes", table))
    return tuple(_step(part, table) for part in parts)


def options(kind: type[Pass]) -> list[tuple[str, str, str]]:
    """List a pass's options: name, type and default, each as text; the default is empty where one must be given."""
    hints = get_type_hints(kind)
    return [
        (_dashed(f.name), _type_name(hints[f.name]), "" if _default(f) is MISSING else _printed(_default(f)))
        for f in fields(kind)  # type: ignore[arg-type]
    ]


def _step(part: str, table: Mapping[str, type[Pass]]) -> Pass:
    match = _NAME.fullmatch(part)
    if match is None:
        raise UsageError(f"cannot read the pass '{part.strip()}'", hint="write name{option=value,option=value}")
    name = match["name"]
    if name not in table:
        raise UsageError(f"there is no pass '{name}'", hint=_near(name, table, "known passes"))
    kind = table[name]
    known = {_dashed(f.name): f.name for f in fields(kind)}  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for option in _split(match["options"] or "", ","):
        key, equals, value = (piece.strip() for piece in option.partition("="))
        if not key:
            continue
        key = _dashed(key)
        if key not in known:
            raise UsageError(f"pass '{name}' has no option '{key}'", hint=_near(key, known, "its options"))
        if not equals:
            raise UsageError(f"option '{key}' of pass '{name}' has no value", hint=f"write {key}=value")
        values[known[key]] = _value(value, hints[known[key]], f"option '{key}' of pass '{name}'")
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise UsageError(f"pass '{name}' cannot be made", why=str(error)) from error


def _value(value: str, kind: Any, where: str) -> Any:
    arguments = get_args(kind)
    if get_origin(kind) in (Union, UnionType):
        if value == "none" and NoneType in arguments:
            return None
        return _value(value, next(a for a in arguments if a is not NoneType), where)
    if get_origin(kind) is tuple:
        return tuple(_value(item.strip(), arguments[0], where) for item in _split(value, ";")) if value else ()
    try:
        return _scalar(value, kind)
    except (KeyError, ValueError) as error:
        raise UsageError(f"{where} is '{value}', which is no {_type_name(kind)}") from error


def _scalar(value: str, kind: Any) -> Any:
    if kind is bool:
        return _WORDS[value.lower()]
    if kind is str:
        return json.loads(value) if value.startswith('"') else value
    return kind(value)


def _split(text: str, separator: str) -> list[str]:
    """Cut at separators that stand outside quotes and braces. Raises UsageError for braces that do not match."""
    parts, depth = [""], 0
    for token in _TOKEN.findall(text):
        depth += (token == "{") - (token == "}")
        if depth < 0:
            break
        if token == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += token
    if depth:
        raise UsageError(f"the braces in '{text}' do not match")
    return parts


def _printed(value: Any) -> str:
    if isinstance(value, tuple):
        return ";".join(_printed(item) for item in value)
    if value is None or isinstance(value, bool):
        return str(value).lower()
    plain = not isinstance(value, str) or (_BARE.fullmatch(value) and value.strip() == value and value != "none")
    return str(value) if plain else json.dumps(value)


def _default(option: Field[Any]) -> Any:
    return option.default if option.default_factory is MISSING else option.default_factory()


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _near(name: str, known: Iterable[str], called: str) -> str:
    close = get_close_matches(name, list(known), 1)
    return f"did you mean '{close[0]}'?" if close else _listed(called, known)


def _listed(called: str, names: Iterable[str]) -> str:
    return f"{called}: {', '.join(names) or 'none'}"


def _type_name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind)
