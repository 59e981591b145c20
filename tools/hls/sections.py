"""The report in tables of text, for the terminal and for ``report.md``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ...backends.hls.cost.compare import Comparison
from ...backends.hls.cost.report import NetworkCost
from ...backends.hls.network import Flatten
from ...ir.names import printable
from .front import Point
from .hardware import Hardware
from .report import TIERS, Report, kind, types

_MARKUP = re.compile(r"[\\`*|\[\]]|<(?=[A-Za-z/!?])")

Rows = Sequence[Sequence[str]]

_COUNTS = (
    ("multipliers", "multipliers"),
    ("interval in cycles", "interval"),
    ("latency in cycles", "latency"),
    ("weights that are not 0", "nonzeros"),
    ("bits of weights", "weight_bits"),
    ("bits of line buffers", "line_buffer_bits"),
    ("bits of FIFOs", "stream_bits"),
)


@dataclass(frozen=True)
class Section:
    """A table with a title; ``texts`` are the columns, from the left, that are no numbers."""

    title: str
    columns: Sequence[str]
    rows: Rows
    texts: int = 1


def layers(report: Report) -> Section:
    """List the layers that multiply, and the totals."""
    rows: list[tuple[str, ...]] = []
    for layer, cost in zip(report.network.layers, report.cost.layers, strict=True):
        grids = report.precision[layer.name]
        if cost.weights and grids.weight is not None:
            built = (cost.setting.strategy.replace("_", " "), str(cost.setting.reuse))
            bits = f"{grids.weight.width} / {grids.result.width}"
            counts = (f"{cost.multipliers:,}", f"{cost.interval:,}", f"{cost.weight_bits:,}")
            rows.append((layer.name, kind(layer), _shape(layer.shape), *built, bits, *counts))
    whole = report.cost
    totals = (f"{whole.multipliers:,}", f"{whole.interval:,}", f"{whole.weight_bits:,}")
    rows.append(("total", *[""] * 5, *totals))
    columns = ("layer", "what", "result", "strategy", "reuse", "bits", "multipliers", "interval", "all weights")
    title = f"layers that multiply; bits of a weight / a result, and of all weights (tier 1, {TIERS['tier1']})"
    return Section(title, columns, rows, 4)


def totals(report: Report) -> Section:
    """List the totals of tier 1."""
    rows = [(label, f"{getattr(report.cost, field):,}") for label, field in _COUNTS]
    return Section(f"whole network (tier 1, {TIERS['tier1']})", ("", "count"), rows)


def checks(report: Report) -> Section:
    """List what was compared with what, and what came of it."""
    found = report.checks
    rows = [
        ("floating point against onnxruntime", _few(found.samples), f"{found.lowered:.1e} of the largest result"),
        ("C simulation against emulator", _few(found.csim), _lsb(0) if found.csim else "not run"),
        ("network.qonnx against emulator", _few(found.samples), _lsb(found.qonnx)),
    ]
    for name, difference in found.measured.outputs.items():
        said = f"max {difference.max_error:.3g}, RMS {difference.rms_error:.3g} ({difference.relative_error:.2%})"
        rows.append((f"emulator against onnxruntime, '{name}'", report.origin, said))
        if difference.same_class is not None:
            rows.append((f"same top class (largest entry), '{name}'", report.origin, f"{difference.same_class:.2%}"))
    if found.measured.accuracy is not None:
        before, after = found.measured.accuracy
        rows.append(("accuracy of onnxruntime, of the emulator", report.origin, f"{before:.2%}, {after:.2%}"))
    saturated, values = (sum(getattr(one, field) for one in found.traced.values()) for field in ("saturated", "values"))
    rows.append(("values beyond their type", _few(found.samples), f"{saturated:,} of {values:,}"))
    return Section("checks", ("check", "on", "result"), rows, 3)


def _lsb(most: float) -> str:
    return f"at most {most:g} LSB" if most else "0 LSB: all bits equal"


def trace(report: Report) -> Section:
    """List every layer: types, range, error, saturated values."""
    rows = []
    for layer in report.network.layers:
        if isinstance(layer, Flatten):
            continue
        grids, found = types(report.precision[layer.name]), report.checks.traced[layer.name]
        span = f"{found.low:.4g} to {found.high:.4g}"
        named = [grids.get(name, "") for name in ("weight", "bias", "accumulator", "result")]
        rows.append((layer.name, layer.source, *named, span, f"{found.error:.2e}", f"{found.saturated:,}"))
    columns = ("layer", "ONNX node", "weight", "bias", "accumulator", "result", "range", "relative error", "saturated")
    return Section(f"every layer, over {report.checks.samples} samples", columns, rows, 7)


def comparison(found: Comparison, before: str, after: str) -> Section:
    """Show both comparisons of two networks, in counts and as shares."""
    first, same_speed, same_size = found.before, found.equal_interval, found.equal_multipliers
    rows = [
        (label, f"{was:,}", *_share(same_speed, field, was), *_share(same_size, field, was))
        for label, field in _COUNTS
        if (was := getattr(first, field)) is not None
    ]
    columns = ("", "before", "at equal interval", "ratio", "at equal multipliers", "ratio")
    return Section(f"{before} against {after} (tier 1, {TIERS['tier1']})", columns, rows)


def front(found: Sequence[Point], before: str) -> Section:
    """Show two models within three error budgets each; a star marks what no other point beats."""
    rows = [
        (
            point.model,
            f"{point.max_error:.3g}",
            f"{point.weight_bits:.1f}",
            f"{point.multiplier_bits:,}",
            f"{point.error:.2%}",
            "" if point.same_class is None else f"{point.same_class:.2%}",
            "*" if point.best else "",
        )
        for point in found
    ]
    columns = ("model", "max error", "bits of a weight", "multiplier bits", "RMS error", "same top class", "best")
    return Section(f"pruned and typed, against {before} in floating point (multiplier bits: tier 1)", columns, rows)


def hardware(found: Hardware) -> Section:
    """Show tiers 2 and 3 by layer and in all."""
    area = found.measured.area
    rows = []
    for name, kernel in found.kernels.items():
        cells = area and area.layers.get(name)
        mapped = (f"{cells.lut:,}", f"{cells.ff:,}") if cells else ("", "")
        rows.append((name, f"{kernel.lut:,}", str(kernel.depth), *mapped))
    whole = (f"{area.total.lut:,}", f"{area.total.ff:,}") if area else ("", "")
    rows.append(("all kernels; whole design", f"{found.lut:,}", "", *whole))
    columns = ("layer", "LUT (tier 2)", "adders deep (tier 2)", "LUT (tier 3)", "flip-flops (tier 3)")
    return Section("hardware, every product unrolled", columns, rows)


def cycles(found: Hardware) -> str:
    """Say what tiers 2 and 3 are, and the cycles."""
    speed = f"latency {found.measured.latency:,} cycles, interval {found.measured.interval:,} cycles"
    return f"tier 2: {TIERS['tier2']}\ntier 3: {TIERS['tier3']}\ntier 3, whole design: {speed}"


def markdown(report: Report, before: str) -> str:
    """Write the whole report."""
    found = [checks(report), layers(report), totals(report), trace(report)]
    if report.comparison is not None:
        found.append(comparison(report.comparison, before, report.source))
    if report.front:
        found.append(front(report.front, before))
    if report.hardware is not None:
        found.append(hardware(report.hardware))
    parts = [f"# {_plain(report.source)} as hardware", *(_written(section) for section in found)]
    if report.hardware is not None:
        parts.append(cycles(report.hardware).replace("\n", "  \n"))
    parts.append("\n".join(("## notes", "", *(f"* {_plain(note)}" for note in report.notes))))
    return "\n\n".join(parts) + "\n"


def _written(section: Section) -> str:
    lines = [section.columns, ["---" if i < section.texts else "---:" for i in range(len(section.columns))]]
    body = "\n".join(f"| {' | '.join(map(_plain, cells))} |" for cells in (*lines, *section.rows))
    return f"## {_plain(section.title)}\n\n{body}"


def _plain(text: str) -> str:
    """Keep what a name holds from being read as markup."""
    return _MARKUP.sub(r"\\\g<0>", printable(text))


def _share(found: NetworkCost, field: str, was: int) -> tuple[str, str]:
    now = getattr(found, field)
    return f"{now:,}", f"{now / was:.3f}" if was else ""


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _few(count: int | None) -> str:
    return f"{count} samples" if count else ""
