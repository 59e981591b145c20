"""Pages written from templates: one file each, with nothing to load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from typing import Any

import numpy as np

from ...ir.feeds import random_feeds
from ...ir.graph import Graph
from ..changes import changes
from ..layers import LayerLine, Timed, timed
from ..report import Report
from ..sensitive import error_at
from . import charts, view

_SHOWN_GROUPS = 6


@dataclass(frozen=True)
class Picture:
    """A figure as it stands on a page."""

    title: str
    said: str
    svg: str


def written(template: str, **values: Any) -> str:
    """Fill a template that lies beside this file; text is escaped."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    folder = files(__package__)
    load = FunctionLoader(lambda name: (folder / name).read_text(encoding="utf-8"))
    environment = Environment(autoescape=True, undefined=StrictUndefined, loader=load, trim_blocks=True)
    style = (folder / "style.css").read_text(encoding="utf-8")
    return environment.get_template(template).render(style=style, **values)


def report_page(report: Report, before: Graph, after: Graph, name: str = "", replay: str = "") -> str:
    """Write a report as HTML. It times both models layer by layer; ``replay`` is the command that makes it again.

    Raises InvalidModelError as sessions do.
    """
    found = _timed(report, before, after)
    difference = changes(before, after)
    sensitivities = view.sensitivities(report.records)
    return written(
        "report.html",
        title=f"{name or 'The model'}: {report.target}",
        sentence=view.sentence(report),
        cards=view.cards(report),
        notes=report.notes,
        skylines=skylines(found.lines),
        elsewhere=view.elsewhere(found),
        layers=view.layer_rows(found.lines),
        curves=_curves(sensitivities),
        groups=_groups(sensitivities),
        pins=[[", ".join(p.tensors[:3]), f"{p.pin.op} '{p.pin.node}'", p.pin.why, p.pin.hint] for p in report.pins],
        checks=view.checks(report),
        changed=difference.said.capitalize(),
        changes=view.change_rows(difference),
        times=_times(report),
        made=view.made(report),
        replay=replay,
        passes=[[one.name, f"{one.seconds:.2f}", "; ".join(one.notes)] for one in report.records],
    )


def card_list(report: Report) -> str:
    """Write what a notebook shows of a report: a sentence and the figures before and after."""
    return written("cards.html", sentence=view.sentence(report), cards=view.cards(report))


def _timed(report: Report, before: Graph, after: Graph) -> Timed:
    rng = np.random.default_rng(report.seed)
    feeds = random_feeds(before, rng, 1)
    return timed(report.layers, [before, after], [feeds, feeds], 1)


def skylines(lines: Sequence[LayerLine]) -> list[Picture]:
    """Draw widths, MACs, weights and milliseconds of every layer before and after."""
    found = [
        ("Channels", "How wide each layer is", "channels", [line.width for line in lines]),
        ("MACs", "How often each layer multiplies, for one sample", "MACs", [line.macs for line in lines]),
        ("Weights", "How many numbers each layer stores", "weights", [line.parameters for line in lines]),
    ]
    if any(line.milliseconds for line in lines):
        spent = [line.milliseconds or (0.0, 0.0) for line in lines]
        found.append(("Milliseconds", "How long each layer takes on this machine", charts.MILLISECONDS, spent))  # type: ignore[arg-type]
    return [
        Picture(title, said, charts.plotted(charts.skyline, f"{said}: before, after", *zip(*pairs, strict=True), unit))
        for title, said, unit, pairs in found
        if pairs
    ]


def _curves(sensitivities: dict[str, Any]) -> Picture | None:
    if not sensitivities:
        return None
    errors = {name: one["errors"] for name, one in sensitivities.items()}
    lost = {name: one["lost"] for name, one in sensitivities.items()}
    svg = charts.plotted(charts.curves, "Error of the outputs by the share of each group that goes", errors, lost)
    return Picture("Sensitivity of every group", f"{len(errors)} groups; the scale is logarithmic", svg)


def _groups(sensitivities: dict[str, Any]) -> list[list[str]]:
    """Return rows of the groups that have lost most, and of those that have lost least."""
    ordered = sorted(sensitivities, key=lambda name: -sensitivities[name]["lost"])
    few = ordered if len(ordered) <= 2 * _SHOWN_GROUPS else [*ordered[:_SHOWN_GROUPS], *ordered[-_SHOWN_GROUPS:]]
    return [[name, f"{sensitivities[name]['lost']:.0%}", _error(sensitivities[name])] for name in few]


def _error(one: dict[str, Any]) -> str:
    return f"{error_at(one['errors'], one['lost']):.2g}"


def _times(report: Report) -> Picture:
    spent = view.seconds(report.records)
    svg = charts.plotted(partial(charts.bars, "Seconds by pass"), spent, "seconds")
    return Picture("Time by pass", f"{sum(spent.values()):.1f} seconds in all", svg)
