"""Figures of a page: matplotlib's vector graphics, whose colours are the page's own, by light and by dark."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from ...ir.graph import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT, BEFORE, AFTER, MARK = "#010101", "#020202", "#030303", "#040404", "#050505"
_COLOURS = {INK: "ink", FAINT: "faint", BEFORE: "before", AFTER: "after", MARK: "mark"}
LIGHT = {INK: "#222222", FAINT: "#d4d4d4", BEFORE: "#9db4c8", AFTER: "#1c5d99", MARK: "#b3391f"}
_WIDTH, _HEIGHT = 4.7, 2.3  # inches: a phone's width shows it at its own size
_NAMED = re.compile(r' id="(?!m[0-9a-f]{10}|p[0-9a-f]{10})[^"]*"')
_LIKE_TERMINALS = {"svg.fonttype": "none", "font.size": 10.0, "font.family": "sans-serif", "axes.linewidth": 0.8}
MILLISECONDS = "ms"
_LEAST = 1e-6  # of the largest error: less is none


def figure(height: float = _HEIGHT) -> tuple[Figure, Axes]:
    """Return an empty figure and its axes, in the page's colours."""
    from matplotlib.figure import Figure

    made = Figure((_WIDTH, height), layout="constrained")
    axes = made.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.tick_params(colors=INK)
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    return made, axes


def settings() -> Any:
    """Return what matplotlib is told while a figure is made: text stays text, and equal figures are equal bytes."""
    return {**_LIKE_TERMINALS, "svg.hashsalt": "optimise-onnx", "text.color": INK, "axes.labelcolor": INK}


def drawn(made: Figure, name: str, colours: Mapping[str, str] | None = None) -> str:
    """Write a figure as SVG that is called ``name``; ``colours`` for one that stands alone, else the page's."""
    stream = io.StringIO()
    made.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = stream.getvalue()
    svg = _NAMED.sub("", re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL))
    alone = ' xmlns="http://www.w3.org/2000/svg"' if "xmlns=" not in svg else ""
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{escape(name)}"{alone}', 1)
    for placeholder, called in _COLOURS.items():
        svg = svg.replace(placeholder, f"var(--{called})" if colours is None else colours[placeholder])
    return svg


def plotted(draw: Any, *args: Any, **how: Any) -> str:
    """Draw with our settings: no other figure of the process sees them."""
    from matplotlib import rc_context

    with rc_context(settings()):
        return str(draw(*args, **how))


def skyline(name: str, before: Sequence[float], after: Sequence[float], unit: str) -> str:
    """Draw a bar for every layer, from input to output: a pale one before, and in it a solid one after."""
    made, axes = figure()
    places = np.arange(len(before))
    axes.bar(places, before, width=0.9, color=BEFORE, label="before", linewidth=0)
    axes.bar(places, after, width=0.9, color=AFTER, label="after", linewidth=0)
    axes.set_xlabel("layers, from input to output")
    axes.set_xticks([])
    axes.set_ylabel(unit)
    axes.margins(x=0.01)
    axes.yaxis.set_major_formatter(_engineering() if unit != MILLISECONDS else "{x:g}")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, borderaxespad=0)
    return drawn(made, name)


def curves(name: str, errors: Mapping[str, Sequence[float]], lost: Mapping[str, float]) -> str:
    """Draw how the outputs' error grows with the share of each group that goes; a dot where it was left."""
    made, axes = figure(2.8)
    axes.set_yscale("log")
    for group, values in errors.items():
        shares = np.linspace(0, 1, len(values))
        seen = np.maximum(np.asarray(values, float), 1e-12)
        axes.plot(shares[1:], seen[1:], color=BEFORE, linewidth=1.1)
        if lost.get(group):
            axes.plot(lost[group], np.interp(lost[group], shares, seen), "o", color=AFTER, markersize=4)
    axes.set_ylim(bottom=max((max(values) for values in errors.values()), default=1.0) * _LEAST)
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of the group that goes")
    axes.set_ylabel("error of the outputs")
    return drawn(made, name)


def bars(name: str, values: Mapping[str, float], unit: str) -> str:
    """Draw one horizontal bar for each name, the largest first."""
    ordered = sorted(values.items(), key=lambda pair: -pair[1])
    made, axes = figure(0.7 + 0.24 * len(ordered))
    axes.barh([name for name, _ in ordered], [value for _, value in ordered], color=AFTER, linewidth=0)
    axes.grid(visible=False)
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    for place, (_, value) in enumerate(ordered):
        axes.text(value, place, f" {value:.3g}", va="center", fontsize=9)
    axes.margins(x=0.12)
    return drawn(made, name)


def shares(name: str, rows: Sequence[str], kept: Array) -> str:
    """Draw a matrix (rows, layers) of shares of widths that are left: dark is whole, pale is gone."""
    made, axes = figure(0.9 + 0.26 * len(rows))
    axes.grid(visible=False)
    count, layers = kept.shape
    for row in range(count):
        for layer in range(layers):
            axes.bar(layer, 0.86, bottom=row - 0.43, width=1.0, color=AFTER, alpha=float(kept[row, layer]), linewidth=0)
    axes.set_yticks(range(count), rows)
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.margins(0)
    axes.set_xlabel("layers, from input to output")
    return drawn(made, name)


def _engineering() -> Any:
    from matplotlib.ticker import EngFormatter

    return EngFormatter(sep="")
