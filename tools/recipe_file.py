"""Recipe files: what is asked of a compression as YAML, the same as the command's options and as Python's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, get_type_hints

from ..ir.errors import UsageError
from ..passes.analysis.costs.target import Target
from .made import options
from .settings import AUTO, Settings

VERSION = 1
SCHEMA = "recipe.json"
_ABOUT = ("version", "about")
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}
_SWEEP = {
    "targets": ("string", "Targets of a sweep: 0.9x,0.5x, or auto:12."),
    "kind": ("string", "What the targets of a sweep limit."),
}
_CALL = {
    "data": ("string", "Samples: a file, a folder, or script.py:function."),
    "samples": ("integer", "Use the first N samples."),
    "labels": ("string", "Labels in the data, or `folder` of images."),
    "metric": ("string", "A metric for the report, script.py:function."),
}


def shipped() -> dict[str, str]:
    """Return the recipes that ship, by name, and what each is for."""
    return {name: read(name)["about"] for name in _names()}


def read(source: str | Path) -> dict[str, Any]:
    """Read a recipe, a file or the name of one that ships. Raises UsageError for what is none."""
    import yaml

    try:
        found = yaml.safe_load(_text(source))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise UsageError(f"'{source}'{where} is no YAML", why=getattr(error, "problem", None) or str(error)) from error
    _check(found, source)
    if found.get("align") == AUTO:
        found["align"] = 0
    return dict(found)


def asked(source: str | Path, sweep: bool = False) -> dict[str, Any]:
    """Return what a recipe asks for, by the names of Python's arguments; of ``sweep``, or else of ``compress``.

    The target of a recipe tells a sweep what its targets limit. Raises UsageError, also for a sweep's targets where one
    compression is asked for.
    """
    found = {name: value for name, value in read(source).items() if name not in _ABOUT}
    if not sweep and found.keys() & _SWEEP.keys():
        raise UsageError(f"'{source}' is a recipe for a sweep", hint=f"optimise-onnx sweep -c {source}")
    if sweep and "target" in found:
        found = {"kind": Target.parse(found.pop("target")).quantity.name, **found}
    return found


def merged(
    config: str | Path | None, call: Mapping[str, Any], options: Mapping[str, Any], sweep: bool = False
) -> dict[str, Any]:
    """Return what a recipe asks for with what a call gives, which goes before. Raises UsageError."""
    told = {} if config is None else asked(config, sweep)
    return told | {name: value for name, value in call.items() if value is not None} | dict(options)


def written(settings: Settings, call: Mapping[str, Any]) -> bytes:
    """Write a recipe: what is not as it is by default. ``call``: data, samples, labels, metric; targets and kind."""
    import yaml

    told = {
        "version": VERSION,
        **options(settings),
        **{name: value for name, value in call.items() if value is not None},
    }
    if "targets" in told:
        del told["target"]
    text: str = yaml.safe_dump(told, sort_keys=False, allow_unicode=True)
    return text.encode()


def schema() -> dict[str, Any]:
    """Return the JSON schema of recipes, made from the options; `schemas/recipe.json` holds it."""
    hints = get_type_hints(Settings, localns={"Target": str, "InputShapes": list[str], "Tape": object})
    known = {
        "version": {"const": VERSION, "description": "Of the format."},
        "about": {"type": "string", "description": "What it is for."},
        "target": {"type": "string", "description": "A share or an amount: macs=0.5x, latency=3ms."},
        **{name: {"type": kind, "description": about} for name, (kind, about) in (_CALL | _SWEEP).items()},
    }
    for each in fields(Settings):
        if each.metadata:
            known[each.name] = _described(each, hints[each.name])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A recipe of optimise-onnx compress or sweep, version 1",
        "type": "object",
        "required": ["version"],
        "additionalProperties": False,
        "properties": known,
    }


def _described(each: Any, hint: Any) -> dict[str, Any]:
    """Describe an option as JSON schema does."""
    found: dict[str, Any] = {"description": each.metadata["about"]}
    if each.metadata.get("several"):
        found |= {"type": "array", "items": {"type": "string"}}
    elif each.name == "align":
        found |= {"anyOf": [{"type": "integer", "minimum": 0}, {"const": AUTO}]}
    else:
        kinds = getattr(hint, "__args__", (hint,))
        found["type"] = next(_TYPES[kind] for kind in kinds if kind in _TYPES)
    if each.metadata.get("least") is not None and "anyOf" not in found:
        found["minimum"] = each.metadata["least"]
    if each.default not in (MISSING, None, ()):
        found["default"] = AUTO if each.name == "align" else each.default
    return found


def _check(found: Any, source: str | Path) -> None:
    """Raise UsageError for the first thing that the schema does not allow."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(schema()).iter_errors(found))
    if error is None:
        return
    place = ".".join(map(str, error.absolute_path))
    raise UsageError(
        f"'{source}' is no recipe", why=f"{place}: {error.message}" if place else error.message, hint=_hint(found)
    )


def _hint(found: Any) -> str:
    if not isinstance(found, Mapping):
        return "write `version: 1`, and options below it, as target: macs=0.5x"
    from difflib import get_close_matches

    known = list(schema()["properties"])
    near = [(name, get_close_matches(str(name), known, 1)) for name in found if name not in known]
    said = [f"did you mean '{close[0]}'?" for _, close in near if close]
    return said[0] if said else "docs/recipes.md lists what may stand in one"


def _text(source: str | Path) -> str:
    """Return the text of a file, or of a recipe that ships. Raises UsageError."""
    path, own = Path(source), _folder() / f"{source}.yaml"
    try:
        if path.suffix not in (".yaml", ".yml") and own.is_file():
            return own.read_text(encoding="utf-8")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise UsageError(
            f"cannot read the recipe '{source}'", why=why, hint=f"a file, or one of {', '.join(_names())}"
        ) from error


def _names() -> list[str]:
    """Name the recipes that ship."""
    return sorted(file.stem for file in _folder().glob("*.yaml"))


def _folder() -> Path:
    return Path(str(files("optimise_onnx.tools"))) / "shipped"
