"""Tables for the terminal."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

from ..ir.cost import Cost, total
from ..ir.names import printable
from ..ir.quantity import scaled
from ..ir.timing import Latency
from ..passes.analysis.costs.sums import MACS, PARAMS
from .agreement import Agreement
from .analysis import Analysis
from .bench import Bench
from .profile import Line, Profile
from .report import PinLine, Report

_SHOWN_OUTPUTS = 4
_SHOWN_LAYERS = 12
_SHOWN_PARTS = 6
_LETTERS = "AB"
_TEXT_WIDTH = 120
_COSTS = (("MACs", "macs", ""), ("parameters", "parameters", ""), ("bytes of the file", "bytes", "B"))
_COUNTED = (MACS, PARAMS)  # what these rows show
_NUMERIC = {
    *(f"{name}, {clock} time" for name in ("p50", "p95") for clock in ("CPU", "wall")),
    *("before", "after", "after / before", "of it left", "MACs", "parameters", "bytes", "width"),
    *(
        "p50",
        "p95",
        *(f"{name}, {clock} time" for name in ("p50", "p95") for clock in ("CPU", "wall")),
        "nodes of A",
        "nodes of B",
        "A in µs",
        "B in µs",
        "of A",
        "B / A",
    ),
}


class Rows(Table):
    """A table whose cells are text as it is: names may hold brackets, and whatever would move a terminal is escaped."""

    def add_row(self, *cells: RenderableType | None, **how: Any) -> None:
        """Add a row of cells."""
        super().add_row(*(printable(cell) if isinstance(cell, str) else cell for cell in cells), **how)


def before_after(report: Report) -> Table:
    """Show costs, latency, agreement and metric of the model before and after."""
    table = _table("", "before", "after", "after / before")
    for label, field, unit in _COSTS:
        was, now = getattr(report.before, field), getattr(report.after, field)
        table.add_row(label, scaled(was) + unit, scaled(now) + unit, share(now, was))
    for label, times in clocks(report.latency):
        was_ms, now_ms = times.p50
        table.add_row(f"latency here{label}", f"{was_ms:.3g} ms", f"{now_ms:.3g} ms", spread(times))
    aim = report.aim
    said = aim.quantity.said
    if aim.quantity not in _COUNTED:
        predicted = "" if aim.predicted is None else f" (predicted {aim.predicted:.3f})"
        ratio = share(aim.after, aim.before) + predicted
        table.add_row(f"{aim.quantity.name}, aimed at", said(aim.before), said(aim.after), ratio)
    for name, found in list(report.fidelity.told.items())[:_SHOWN_OUTPUTS]:
        if found.same is not None:
            table.add_row(f"agreement of '{name}'", "", percent(found.same), _interval(report, found))
        if found.error is not None:
            table.add_row(f"relative error of '{name}'", "", f"{found.error:.3g}", "")
        for part, difference in list(found.parts.items())[: _SHOWN_PARTS if len(found.parts) > 1 else 0]:
            table.add_row(f"  of its part '{part}'", "", f"{difference.error:.3g}", "")
    for name, (worth, left) in report.fidelity.metric.items():
        fell = report.fidelity.spread
        known = "" if fell is None else f" ({-fell.high:+.3f} to {-fell.low:+.3f})"
        table.add_row(name, f"{worth:.4f}", f"{left:.4f}", f"{left - worth:+.4f}{known}")
    return table


def as_text(table: Table) -> str:
    """Write a table as text without colours."""
    console = Console(width=_TEXT_WIDTH, color_system=None, file=io.StringIO(), legacy_windows=False)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()).strip("\n")


def stages(report: Report) -> Table:
    """Show what pruning, quantising and both leave: the size of the file, and each output's agreement and error."""
    outputs = list(report.fidelity.told)[:_SHOWN_OUTPUTS]
    table = _table("", "bytes", "of it left", *(f"'{name}' agrees, error" for name in outputs))
    for stage in report.stages:
        told = [stage.fidelity.told[name] for name in outputs]
        cells = [", ".join(_known(percent(one.same) if one.same is not None else "", one.error)) for one in told]
        table.add_row(stage.name, scaled(stage.bytes) + "B", share(stage.bytes, report.before.bytes), *cells)
    return table


def _known(same: str, error: float | None) -> list[str]:
    return [cell for cell in (same, "" if error is None else f"{error:.3g}") if cell]


def _interval(report: Report, found: Agreement) -> str:
    """Write where the agreement lies on other samples like those that judged."""
    if found.interval is None or not report.fidelity.samples.held_out:
        return ""
    low, high = (100 * end for end in found.interval)
    return f"({low:.1f} to {high:.1f} %)"


def benched(found: Bench) -> Iterator[RenderableType]:
    """Yield all that a person is shown of measured models."""
    yield bench(found)
    yield settings(found)
    yield from found.notes
    if len(found.models) > 1:
        yield verdict(found.latency)
    if found.profile is not None:
        yield operators(found.profile)
        yield layers(found.profile)
        yield overhead(found, found.profile)


def bench(found: Bench) -> Table:
    """Show percentiles of single runs."""
    known = clocks(found.latency)
    table = _table("", "model", *(f"{name}{label}" for label, _ in known for name in ("p50", "p95")))
    for place, (letter, name) in enumerate(zip(_LETTERS, found.models, strict=False)):
        figures = [each[place] for _, times in known for each in (times.p50, times.p95)]
        table.add_row(letter, name, *(f"{figure:.4g} ms" for figure in figures))
    return table


def clocks(found: Latency) -> list[tuple[str, Latency]]:
    """Return what a latency says by each clock, and how that is called, the one that counts first."""
    if found.cpu is None:
        return [("", found)]
    return [(", CPU time", found), (", wall time", found.by_wall)]


def verdict(found: Latency) -> str:
    """Say in words how much of A's time B takes."""
    (label, _), *others = clocks(found)
    said = f"B takes {spread(found)} of A's {label.removeprefix(', ') or 'time'}"
    said += "".join(f", and {spread(times)} of its{label.removeprefix(',')}" for label, times in others)
    return said if found.differs else f"no difference beyond noise: {said}"


def settings(found: Bench) -> str:
    """Say how a latency was measured."""
    batch = "" if found.batch is None else f", batch {found.batch}"
    threads = {0: "all threads", 1: "1 thread"}.get(found.threads, f"{found.threads} threads")
    times = found.latency
    return f"{times.rounds} rounds of two runs after {times.warm_up} to warm up{batch}, {threads}"


def operators(found: Profile) -> Table:
    """Show nodes and time by operator type as onnxruntime runs it, and the sum."""
    letters = _LETTERS[: len(found.models)]
    lines = [*found.by_operator(), found.total()]
    rows = [[line.op, *map(str, line.nodes), *_times(line, found)] for line in lines]
    return plain(["operator", *(f"nodes of {letter}" for letter in letters), *_time_columns(letters)], rows)


def layers(found: Profile) -> Table:
    """Show the layers that take longest, and what is no layer of both models by operator type."""
    rows = [[line.layer or "(unmatched)", line.op, *_times(line, found)] for line in found.by_layer()[:_SHOWN_LAYERS]]
    return plain(["layer", "operator", *_time_columns(_LETTERS[: len(found.models)])], rows)


def overhead(found: Bench, profile: Profile) -> str:
    """Say how much longer runs take with the profiler on."""
    said = []
    for letter, whole, alone in zip(_LETTERS, profile.total().microseconds, found.latency.p50, strict=False):
        said.append(f"{letter} {whole:.0f} µs, without it {1e3 * alone:.0f} µs")
    return f"one run with the profiler: {'; '.join(said)}"


def _time_columns(letters: str) -> list[str]:
    ratio = ["B / A"] if len(letters) > 1 else []
    return [*(f"{letter} in µs" for letter in letters), "of A", *ratio]


def _times(line: Line, found: Profile) -> list[str]:
    was, now = line.microseconds[0], line.microseconds[-1]
    ratio = [share(now, was)] if len(line.microseconds) > 1 else []
    return [*(f"{time:.1f}" for time in line.microseconds), percent(was / found.total().microseconds[0]), *ratio]


def costs(found: Analysis) -> Table:
    """Show what each layer costs, and the total."""
    layers = [(node.name, node.op, found.costs[node.name]) for node in found.graph.nodes]
    shown = [layer for layer in layers if layer[2].macs or layer[2].parameters]
    rows = [(name, op, *_figures(own)) for name, op, own in [*shown, ("total", "", total(found.costs))]]
    return plain(("layer", "operator", "MACs", "parameters", "bytes"), rows)


def groups(found: Analysis) -> Table:
    """Show groups of coupled channels."""
    rows = [(g.name, str(g.width), str(len(g.cells)), _first(g.members[1:])) for g in found.channels.groups]
    return plain(("group of channels", "width", "cells", "coupled with"), rows)


def free(found: Analysis) -> str:
    """Say in words of how much of the network channels can go."""
    whole, part = total(found.costs), found.free
    if not found.channels.groups:
        return "no channels can go"
    shares = f"{percent(part.macs / max(whole.macs, 1))} of the MACs and "
    shares += f"{percent(part.parameters / max(whole.parameters, 1))} of the parameters"
    said = f"channels can go from layers with {shares}"
    return said if found.pins else f"nothing is pinned: {said}"


def pins(lines: Sequence[PinLine]) -> Table:
    """Show what has to stay, what making it costs, and why."""
    table = _table("kept channels of", "because of", "why", "MACs", "parameters", "what would help")
    for line in lines:
        own = scaled(line.cost.macs), scaled(line.cost.parameters)
        table.add_row(_first(line.tensors), f"{line.pin.op} '{line.pin.node}'", line.pin.why, *own, line.pin.hint)
    return table


def plain(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Show rows of text."""
    table = _table(*columns)
    for row in rows:
        table.add_row(*row)
    return table


def share(now: float, was: float) -> str:
    """Write a ratio, empty when there was nothing."""
    return f"{now / was:.3f}" if was else ""


def percent(value: float) -> str:
    """Write a share in percent."""
    return f"{100 * value:.2f} %"


def spread(result: Latency) -> str:
    """Write the ratio and its 95 % confidence interval."""
    low, middle, high = result.ratio
    return f"{middle:.3f} ({low:.3f} to {high:.3f})"


def _first(names: Sequence[str]) -> str:
    rest = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return "".join(names[:1]) + rest


def _figures(own: Cost) -> tuple[str, str, str]:
    macs, parameters, size = (scaled(number).strip() for number in (own.macs, own.parameters, own.bytes))
    return macs, parameters, size


def _table(*columns: str) -> Table:
    table = Rows(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(columns):
        numeric = column in _NUMERIC
        table.add_column(column, justify="right" if numeric and place else "left", overflow="fold")
    return table
