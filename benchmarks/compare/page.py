"""Write the section "Comparison" of docs/results.md and its figures from the results of a run.

python -m compare.page OUT/results.json [docs folder]
"""

import json
import re
import sys
from pathlib import Path
from statistics import median
from typing import Any

from .figures import figures
from .names import NAMES, of
from .peers import OURS, PEERS
from .zoo import TOOLS

BEGIN, END = "<!-- made by benchmarks/compare/page.py: begin -->", "<!-- end -->"
SECTION = Path(__file__).with_name("section.md")
KINDS = ("smaller", "unchanged", "refused", "broken")


def equal_time(rows: list[dict[str, Any]]) -> float | None:
    """Return the share of time that our defaults left at the smallest share of the MACs, if less than all of it."""
    own = [(row["asked"], row["time"]["middle"]) for row in rows if row["peer"] == "ours" and "time" in row]
    return min(own)[1] if own and min(own)[1] < 1 else None


def lost_at(rows: list[dict[str, Any]], peer: str, time: float) -> float | None:
    """Return the points lost at a share of time, between a method's rows; None outside of them."""
    own = [(row["time"]["middle"], row["lost"]) for row in rows if row["peer"] == peer and "time" in row]
    points = sorted([*own, (1.0, 0.0)])
    for (left, low), (right, high) in zip(points, points[1:], strict=False):
        if left <= time <= right:
            return low if right == left else low + (high - low) * (time - left) / (right - left)
    return None


def table(found: dict[str, Any], subject: str) -> list[str]:
    """Return the lines of one network's table and what they show."""
    rows = of(found, subject)
    time, before = equal_time(rows), found["before"].get(subject)
    if before is None:
        return [f"### {NAMES[subject]}", "", "Not in this run.", ""]
    there = {row["peer"] for row in rows}
    missing = [peer for peer in PEERS if peer not in there]
    lines = [f"### {NAMES[subject]}", "", f"{before['accuracy']:.2f} % of {before['images']:,} before."]
    lines[-1] += f" Not in this run: {'; '.join(missing)}." if missing else ""
    lines += ["", "| method | MACs asked | MACs | parameters | lost | time | tool | at equal time |", "|---" * 8 + "|"]
    lines += [line(row, rows, time) for row in rows]
    return [*lines, "", *verdicts(rows, time), ""]


def line(row: dict[str, Any], rows: list[dict[str, Any]], time: float | None) -> str:
    """Return one row, or the message of a method that failed."""
    asked = f"{row['asked']:g}" if PEERS[row["peer"]].aims != "latency" else f"`latency={row['asked']:g}x`"
    if "failed" in row:
        said = row["failed"].replace("|", "\\|").replace("<", "&lt;")
        return f"| {row['peer']} | {asked} | {said} | | | | | |"
    left = row["time"]
    first = next(each for each in rows if each["peer"] == row["peer"]) is row
    same = lost_at(rows, row["peer"], time) if time is not None and first else None
    cells = [
        row["peer"], asked, f"{row['macs']:.3f}", f"{row['parameters']:.3f}",
        f"{row['lost']:.2f} ± {row['error']:.2f}", f"{left['middle']:.2f} ({left['low']:.2f} to {left['high']:.2f})",
        f"{row['cpu']:.0f} s, {row['memory']:.1f}", "" if same is None else f"{same:.2f}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def verdicts(rows: list[dict[str, Any]], time: float | None) -> list[str]:
    """Say who loses least at each share of the MACs, and at equal time."""
    said = []
    for asked in sorted({row["asked"] for row in rows if PEERS[row["peer"]].aims != "latency"}, reverse=True):
        here = [row for row in rows if row["asked"] == asked and PEERS[row["peer"]].aims != "latency" and "lost" in row]
        ranks = sorted((row["lost"], row["peer"], row["family"]) for row in here)
        said.append(f"At {asked:g} of the MACs {_won(ranks)}")
    if time is not None:
        names = dict.fromkeys(row["peer"] for row in rows)
        found = [(lost_at(rows, name, time), name, PEERS[name].family) for name in names]
        ranks = sorted((lost, peer, family) for lost, peer, family in found if lost is not None)
        said.append(f"At {time:.2f} of the time {_won(ranks)}")
    elif any(row["peer"] == "ours" and "time" in row for row in rows):
        said.append("*ours* leaves no less time at these MACs on this device; what is asked for its time does.")
    return [" ".join(said)]


def _won(ranks: list[tuple[float, str, str]]) -> str:
    """Name the best method of all and the best of the other side."""
    if not ranks:
        return "nothing was measured."
    lost, peer, family = ranks[0]
    other = next((each for each in ranks if (each[2] == OURS) != (family == OURS)), None)
    if other is None:
        return f"*{peer}* loses {lost:.2f} points; nothing of others reached it, or was run."
    return f"*{peer}* loses least, {lost:.2f} points; {other[1]} loses {other[0]:.2f}."


def coverage(zoo: dict[str, Any]) -> list[str]:
    """Return the table of what each tool takes at all."""
    lines = [f"| tool | {' | '.join(KINDS)} | parameters left |", "|---" * (len(KINDS) + 2) + "|"]
    for tool in TOOLS:
        found = zoo.get(tool, {"failed": "not in this run"})
        if "failed" in found:
            lines.append(f"| {tool} | {found['failed']} |{' |' * len(KINDS)}")
            continue
        counts = [str(sum(each[0] == kind for each in found.values())) for kind in KINDS]
        left = [each[2] for each in found.values() if each[0] == "smaller"]
        lines.append(f"| {tool} | {' | '.join(counts)} | {f'{median(left):.2f}' if left else ''} |")
    return lines


def section(found: dict[str, Any]) -> str:
    """Return all of it."""
    tables = [line for subject in NAMES for line in table(found, subject)]
    filled = {
        "{tables}": "\n".join(tables),
        "{coverage}": "\n".join(coverage(found["zoo"])),
        "{note}": found.get("note", ""),
        "{versions}": ", ".join(f"{name} {number}" for name, number in found["versions"].items()),
    }
    text = SECTION.read_text(encoding="utf-8")
    for place, words in filled.items():
        text = text.replace(place, words)
    text = re.sub(r"\n{3,}", "\n\n", text)
    return f"{BEGIN}\n{text}{END}"


def main() -> None:
    """Put the section into the page, where it was or at its end."""
    docs = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).resolve().parents[2] / "docs"
    found = json.loads(Path(sys.argv[1]).read_text())
    page = docs / "results.md"
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2] if rest else "\n"
    page.write_text(before.rstrip("\n") + "\n\n" + section(found) + after, encoding="utf-8")
    for name, svg in figures(found).items():
        (docs / name).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
