"""Recipes: pipelines by name, each a published procedure as far as it goes without training, and our own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from ..ir.errors import UsageError
from ..passes.base import Pass
from ..passes.pipelines import EXACT, FIRST, known_passes
from ..passes.syntax import join, parse
from .settings import Settings


@dataclass(frozen=True)
class Recipe:
    """``pipeline`` in which the options of a call take the place of what passes have by default; ``paper`` is where the
    procedure comes from, and ``differs`` what is ours, and why.
    """

    pipeline: str
    paper: str
    differs: str


def _meeting(propose: str, finish: str, guard: bool = True) -> str:
    inner = join(parse(f'meet-target{{propose="{propose}",finish="{finish}"}}', known_passes()))
    return f"{FIRST},{EXACT},require-rules,{inner if guard else inner[:-1] + ',guard=false}'}"


DEFAULT = "least-squares"
RECIPES: Mapping[str, Recipe] = {
    DEFAULT: Recipe(
        _meeting(
            "sample-inputs,select-channels,offer-forms,allocate",
            "remove-channels,decompose,reconstruct,drop-samplers",
        ),
        paper="",
        differs="what compress does where no recipe is named",
    ),
}


def pipeline(settings: Settings) -> str:
    """Write the pipeline that a compression runs. Raises UsageError for an unknown recipe."""
    name = settings.recipe or DEFAULT
    if name not in RECIPES:
        raise UsageError(f"there is no recipe '{name}'", hint=f"one of {', '.join(sorted(RECIPES))}")
    told = settings.asked()
    steps = _told(parse(RECIPES[name].pipeline, known_passes()), told, fixed=name != DEFAULT)
    return join(steps)


def _told(steps: Sequence[Pass], told: Mapping[str, Any], fixed: bool) -> list[Pass]:
    """Give passes the options they have a name for; leave out those that nothing asks for, unless a recipe is fixed."""
    found = []
    for step in steps:
        if not fixed and not _wanted(step.name, told):
            continue
        own = {f.name for f in fields(step)}  # type: ignore[arg-type]
        given: dict[str, Any] = {name: value for name, value in told.items() if name in own}
        for text in ("propose", "finish"):
            if text in own:
                inner = parse(getattr(step, text), known_passes())
                given[text] = join(_told(inner, told, fixed))
        found.append(replace(step, **given))  # type: ignore[type-var]
    return found


def _wanted(name: str, told: Mapping[str, Any]) -> bool:
    """Whether a pass of our own recipe is asked for."""
    if name in ("sample-inputs", "drop-samplers"):
        return bool(told.get("sampler"))
    if name in ("offer-forms", "decompose"):
        return bool(told.get("forms"))
    return name != "require-rules" or bool(told.get("strict"))
