"""What the page of a report shows, as plain values for its template."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ...ir.quantity import scaled
from ...ir.timing import Latency
from ...passes.observers import Record
from ...passes.search.meet_target import MeetTarget
from ..changes import Change, Changes, Folded
from ..layers import LayerLine, Timed
from ..report import Report
from ..table import clocks, percent, spread

_NEAR = 0.05
_WORDS = {"same": "same shape", "resized": "resized", "changed": "changed", "gone": "gone", "new": "new"}


@dataclass(frozen=True)
class Card:
    """One figure in a glance: what is left ``of`` it, ``bar`` from 0 to 1, and the figures ``was`` and ``now``."""

    of: str
    left: str
    bar: float
    was: str
    now: str
    note: str = ""


def cards(report: Report) -> list[Card]:
    """Return what a stranger should see first: time, MACs, weights, the file, and what it costs."""
    found = [_counted(*row) for row in _counts(report) if row[1]]
    (_, times), *_ = clocks(report.latency)
    was, now = times.p50
    left = f"{times.ratio.middle:.2f}×" if times.differs else "no difference" if _close(times) else "unclear"
    found.insert(0, Card("time here", left, times.ratio.middle, f"{was:.3g} ms", f"{now:.3g} ms", spread(times)))
    return found + _kept(report)


def _close(times: Latency) -> bool:
    """Whether a time that cannot be told from the original's is surely near it; else the machine was too noisy."""
    return times.ratio.low > 1 - _NEAR and times.ratio.high < 1 + _NEAR


def _counts(report: Report) -> list[tuple[str, float, float, str]]:
    before, after = report.before, report.after
    return [
        ("multiplications (MACs)", before.macs, after.macs, ""),
        ("weights", before.parameters, after.parameters, ""),
        ("file", before.bytes, after.bytes, "B"),
    ]


def _counted(of: str, was: float, now: float, unit: str) -> Card:
    return Card(of, f"{now / was:.2f}×", now / was, scaled(was) + unit, scaled(now) + unit)


def _kept(report: Report) -> list[Card]:
    """Return what is known of the outputs: a metric where there is one, else how many samples keep their class."""
    told = report.fidelity
    found = [
        Card(name, f"{100 * (now - was):+.2f} points", now, percent(was), percent(now), f"on {told.samples.origin}")
        for name, (was, now) in told.metric.items()
        if 0 <= now <= 1
    ]
    for name, one in list(told.told.items())[:2]:
        if one.same is not None:
            note = "" if one.interval is None else f"{percent(one.interval[0])} to {percent(one.interval[1])}"
            note = note if told.samples.held_out else ""
            found.append(Card(f"same answer, '{name}'", percent(one.same), one.same, "", "", note))
        elif one.error is not None:
            found.append(Card(f"error of '{name}'", f"{one.error:.3g}", min(one.error, 1.0), "", "", "0 is the same"))
    return found


def sentence(report: Report) -> str:
    """Say in words what came of it."""
    counts = zip(("MACs", "weights"), _counts(report), strict=False)
    shares = [f"{now / was:.0%} of the {name}" for name, (_, was, now, _) in counts if was]
    said = f"The smaller model keeps {' and '.join(shares)}"
    said += f" and takes {_took(report.latency)}"
    same = [one.same for one in report.fidelity.told.values() if one.same is not None]
    return f"{said}; {min(same):.1%} of the samples keep their answer." if same else f"{said}."


def _took(times: Latency) -> str:
    """Say what is sure about the time, and no more."""
    if times.differs:
        return f"{times.ratio.middle:.0%} of the time on this machine"
    if _close(times):
        return "as long as before on this machine"
    return f"{times.ratio.low:.0%} to {times.ratio.high:.0%} of the time on this machine, too noisy to tell"


def layer_rows(lines: Sequence[LayerLine]) -> list[list[str]]:
    """Return a row of text for every layer."""
    return [
        [
            line.name,
            line.op,
            _pair(line.width, str),
            _pair(line.macs, lambda number: scaled(number).strip()),
            _pair(line.parameters, lambda number: scaled(number).strip()),
            "" if line.milliseconds is None else _pair(line.milliseconds, lambda number: f"{number:.3g}"),
        ]
        for line in lines
    ]


def _pair(pair: tuple[Any, Any], written: Any) -> str:
    was, now = pair
    return written(was) if was == now else f"{written(was)} → {written(now)}"


def seconds(records: Iterable[Record]) -> dict[str, float]:
    """Add up seconds by pass; what ``meet-target`` took beyond the passes of its choice are its other attempts."""
    found: dict[str, float] = defaultdict(float)
    inside = 0.0
    for record in records:
        if record.name == MeetTarget.name:
            found["measuring, other attempts"] += max(record.seconds - inside, 0.0)
        else:
            found[record.name] += record.seconds
            inside += record.seconds
    return dict(found)


def sensitivities(records: Iterable[Record]) -> dict[str, Any]:
    """Return the curves that the last allocation came from."""
    found = [record.figures["sensitivities"] for record in records if record.figures.get("sensitivities")]
    return dict(found[-1]) if found else {}


def change_rows(found: Changes) -> list[dict[str, str]]:
    """Return a row for every line of a difference."""
    return [_folded(line) if isinstance(line, Folded) else _change(line) for line in found.lines]


def _folded(line: Folded) -> dict[str, str]:
    what = f"{line.count} nodes, {line.first} to {line.last}"
    return {"kind": line.kind, "said": _WORDS[line.kind], "name": what, "op": line.ops, "output": "", "weights": ""}


def _change(line: Change) -> dict[str, str]:
    told = {"kind": line.kind, "said": _WORDS[line.kind], "name": line.name, "op": line.op}
    return told | {"output": _arrow(line.output), "weights": _arrow(line.weights)}


def _arrow(pair: tuple[str, str]) -> str:
    was, now = pair
    return was if was == now else " → ".join(filter(None, pair))


def elsewhere(found: Timed) -> str:
    """Say what no layer of the list takes."""
    was, now = found.elsewhere
    return f"Besides, {was:.3g} ms before and {now:.3g} ms after go to other nodes; the profiler slows both models."


def checks(report: Report) -> list[list[str]]:
    """Return rows of what was proven and compared: what, what was found, and on what."""
    fidelity = report.fidelity
    origin = fidelity.samples.origin if fidelity.samples.judges else "nothing: no samples were left to judge by"
    proven = "removals equal the original with the removed channels set to zero, else nothing is written"
    rows = [["rewritten graph", proven, "the calibration samples, or random inputs"]]
    for name, one in fidelity.told.items():
        same = "" if one.same is None else f"{percent(one.same)} agree"
        error = "" if one.error is None else f"relative error {one.error:.3g}"
        rows.append([f"output '{name}'", ", ".join(filter(None, (same, error))), origin])
    rows += [[name, f"{was:.4f} → {now:.4f}", origin] for name, (was, now) in fidelity.metric.items()]
    aim = report.aim
    rows.append(["target", f"{aim.quantity.said(aim.after)} of {aim.quantity.said(aim.before)}", report.target])
    rows += [] if report.drop is None else [["loss allowed", report.drop.said, report.drop.seen_on]]
    return rows


def made(report: Report) -> list[list[str]]:
    """Return rows of what was asked, of what, and by which versions."""
    found = report.made
    rows = [["target", report.target], ["calibration samples", str(report.calibration)], ["seed", str(report.seed)]]
    if found is None:
        return rows
    asked = found.request
    rows += [[name, value] for name, value in (("model", asked.source), ("data", asked.data)) if value]
    rows += [[name, str(value)] for name, value in asked.options.items() if name != "target"]
    rows += [["SHA-256 of the model", found.model], ["SHA-256 of the result", found.result]]
    return rows + [[name, value] for name, value in found.versions.items()]
