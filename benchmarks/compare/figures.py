"""The figures of the comparison: accuracy against time, and points lost at equal MACs."""

from typing import Any

from optimise_onnx.tools.pages.charts import LIGHT, drawn, plotted

from .names import NAMES, of
from .peers import KIRIGAMI, OURS, PAPER, PEERS, SIM, TP

COLOURS = {OURS: "#1c5d99", SIM: "#b3391f", TP: "#3b8132", KIRIGAMI: "#8a5fbf", PAPER: "#8a6d1d"}
WIDTH = 4.4


def figures(found: dict[str, Any]) -> dict[str, str]:
    """Return SVG by file name."""
    there = [name for name in NAMES if name in found["before"]]
    return {
        "compare-time.svg": plotted(_time, found, there),
        "compare-macs.svg": plotted(_macs, found, there),
    }


def _panels(count: int, height: float) -> Any:
    from matplotlib.figure import Figure

    made = Figure((2 * WIDTH, height * ((count + 1) // 2)), layout="constrained")
    panels = made.subplots((count + 1) // 2, 2, squeeze=False).ravel()
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e4e4e4", linewidth=0.6)
        axes.set_axisbelow(True)
    for axes in panels[count:]:
        axes.set_visible(False)
    return made, panels


def _time(found: dict[str, Any], there: list[str]) -> str:
    """Draw a line a method from the original on, those of a tool in one colour."""
    made, panels = _panels(len(there), 2.9)
    for axes, subject in zip(panels, there, strict=False):
        before = found["before"][subject]["accuracy"]
        rows = [row for row in of(found, subject) if "time" in row]
        for peer in dict.fromkeys(row["peer"] for row in rows):
            family = PEERS[peer].family
            points = sorted((row["time"]["middle"], row["accuracy"]) for row in rows if row["peer"] == peer)
            own = family == OURS
            axes.plot(
                *zip(*points, (1.0, before), strict=True), "o-", color=COLOURS[family], markersize=3.5,
                linewidth=1.8 if own else 0.8, alpha=1 if own else 0.75, zorder=3 if own else 2,
            )  # fmt: skip
        axes.set_title(NAMES[subject], loc="left", fontsize=10)
        axes.set_xlabel("CPU time left")
        axes.set_ylabel("right, %")
    lines = [panels[0].plot([], [], "o-", color=colour, label=family)[0] for family, colour in COLOURS.items()]
    made.legend(handles=lines, loc="outside upper center", ncols=len(lines), frameon=False, fontsize=9)
    return drawn(made, "Right answers against the CPU time that is left, by tool and network", LIGHT)


def _macs(found: dict[str, Any], there: list[str]) -> str:
    """Draw what every method loses, a row each, a dot for each share of the MACs."""
    made, panels = _panels(len(there), 3.6)
    for axes, subject in zip(panels, there, strict=False):
        rows = [row for row in of(found, subject) if "lost" in row and PEERS[row["peer"]].aims != "latency"]
        names = list(dict.fromkeys(row["peer"] for row in rows))[::-1]
        shares = sorted({row["asked"] for row in rows}, reverse=True)
        for row in rows:
            full = row["asked"] == shares[0]
            axes.errorbar(
                row["lost"], names.index(row["peer"]), xerr=row["error"], fmt="o", markersize=5, linewidth=1,
                color=COLOURS[row["family"]], markerfacecolor=COLOURS[row["family"]] if full else "white",
            )  # fmt: skip
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xticks([0, 1, 3, 10, 30, 90], ["0", "1", "3", "10", "30", "90"])
        said = ", ".join(f"{mark} at {share:g}" for mark, share in zip(("full", "open"), shares, strict=False))
        axes.set_title(NAMES[subject], loc="left", fontsize=10)
        axes.set_xlabel(f"points lost ({said} of the MACs)")
    return drawn(made, "Points lost by every method at equal MACs, by network", LIGHT)
