"""Under which heading ``--help`` lists an option; the same one in every command."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from copy import copy
from typing import Annotated, Any, get_args

from typer.models import OptionInfo

PANELS = {
    "What is aimed at": ("target", "targets", "kind", "max_drop", "recipe", "config", "passes"),
    "Data": ("data", "samples", "fit_samples", "labels", "metric", "preprocess", "inputs", "input_shapes", "trust"),
    "Results": (
        "output", "report", "save_recipe", "json_file", "page", "dry_run", "print_pipeline",
        "allow_partial", "provenance",
    ),
    "Which channels go": (
        "criterion", "allocation", "per", "step", "granularity", "keep_nodes", "keep_types", "max_ratio", "align",
        "exact_norms", "sampler", "forms", "strict",
    ),
    "Repair and tuning": ("tune", "tune_budget", "tune_on", "augment", "quantise"),
    "Time": ("device", "latency_command", "threads", "batch", "guard", "seconds", "profile"),
    "Debugging of passes": ("dump_after", "print_after", "time_passes", "verify_each"),
    "How it runs": (
        "seed", "jobs", "scheduler", "cache", "cache_folder", "cache_limit", "memory_limit", "resume",
        "quiet", "verbose", "no_colour",
    ),
}  # fmt: skip
_PANEL_OF = {name: panel for panel, names in PANELS.items() for name in names}


def ordered(parameters: Iterable[inspect.Parameter]) -> list[inspect.Parameter]:
    """Return the parameters of a command by their headings; those of the command alone stand in front."""
    headings = ["", *PANELS]
    return sorted(map(_grouped, parameters), key=lambda each: headings.index(_PANEL_OF.get(each.name, "")))


def _grouped(parameter: inspect.Parameter) -> inspect.Parameter:
    """Return a parameter of a command whose option, if it is one of several commands, stands under its heading."""
    panel = _PANEL_OF.get(parameter.name)
    kind, *more = get_args(parameter.annotation) or (None,)
    if panel is None or not any(isinstance(each, OptionInfo) for each in more):
        return parameter
    return parameter.replace(annotation=Annotated[kind, *(_under(panel, each) for each in more)])


def _under(panel: str, about: Any) -> Any:
    if not isinstance(about, OptionInfo):
        return about
    shown = copy(about)
    shown.rich_help_panel = panel
    return shown
