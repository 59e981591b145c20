"""What a compression has measured of a layer's channels, read from its report."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..ir.errors import ReportError
from ..passes.analysis.channels.groups import Channels
from ..passes.analysis.channels.why import Why
from .reading import read_report

_HALF = 0.5


@dataclass(frozen=True)
class Sensitivity:
    """A group of channels: the outputs' error where half of it and where all of it goes alone, its ``rank`` among
    ``groups`` by the former, 1 the most sensitive, and the share that the compression took.
    """

    group: str
    half: float
    whole: float
    rank: int
    groups: int
    lost: float

    def __str__(self) -> str:
        errors = f"the outputs' error is {self.half:.2g} where half of it goes alone, {self.whole:.2g} where all does"
        place = f"{self.rank} of {self.groups} by how much the outputs depend on it"
        return f"group '{self.group}': {errors}; it is {place}, and lost {self.lost:.0%}"

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def sensitive(channels: Channels, answer: Why, report: Path) -> list[Sensitivity]:
    """Return what a report says of the groups of an answer. Raises ReportError where it has measured no groups."""
    passes = read_report(report).get("passes", [])
    found = [one["figures"]["sensitivities"] for one in passes if one["figures"].get("sensitivities")]
    if not found:
        raise ReportError(f"'{report}' measured no sensitivities", hint="allocation=global and data measure them")
    known = found[-1]
    halves = {name: error_at(one["errors"], _HALF) for name, one in known.items()}
    order = sorted(known, key=lambda name: -halves[name])
    return [
        Sensitivity(n, halves[n], known[n]["errors"][-1], order.index(n) + 1, len(order), known[n]["lost"])
        for n in _named(channels, answer, known)
    ]


def _named(channels: Channels, answer: Why, known: Iterable[str]) -> list[str]:
    """Return the groups of an answer by the names that a compression knew them by: those of any of their tensors."""
    own = {part.group for part in answer.parts}
    tensors = {name for group in channels.groups if group.name in own for name in (group.name, *group.members)}
    tensors |= _after(channels, tensors)
    return [name for name in known if name in tensors]


def _after(channels: Channels, tensors: set[str]) -> set[str]:
    """Return what batch normalisations make of tensors: folded, these have their outputs' names."""
    nodes = channels.context.graph.nodes
    norms = (node for node in nodes if node.op == "BatchNormalization" and node.inputs[0].name in tensors)
    return {norm.outputs[0].name for norm in norms}


def error_at(errors: list[float], share: float) -> float:
    """Return the outputs' error where a share of a group goes; ``errors`` lie evenly from none of it to all."""
    return float(np.interp(share, np.linspace(0, 1, len(errors)), errors))
