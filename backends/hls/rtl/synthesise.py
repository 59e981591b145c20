"""Area of a design in cells of Xilinx UltraScale+, by Yosys: mapped, neither placed nor routed."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .design import FILE, TOP, Design
from .tools import run_tool

_PREFIX = "layer_"
_MODULE = re.compile(r"=== (.+) ===")
_CELL = re.compile(r"\s+(\w+)\s+(\d+)\s*$")


@dataclass(frozen=True)
class Area:
    """Cells: look-up tables, flip-flops, carry chains, memories of look-up tables, block memories, multipliers."""

    lut: int
    ff: int
    carry: int
    lutram: int
    bram: int
    dsp: int


@dataclass(frozen=True)
class Synthesis:
    """The area of a whole design, and of each layer without the links around it."""

    total: Area
    layers: Mapping[str, Area]


def synthesise(design: Design, limit: float = 3600.0) -> Synthesis:
    """Map a design to cells within ``limit`` seconds; each layer is optimised by itself.

    Raises LoweringError where Yosys is missing, fails, or takes longer.
    """
    steps = f"read_verilog -sv {FILE}; synth_xilinx -family xcup -flatten -top {TOP}; tee -o area.txt stat"
    run_tool(["yosys", "-q", "-p", steps], "yosys", design.folder, limit)
    counts = _cells((design.folder / "area.txt").read_text(encoding="utf-8"))
    layers = {name.removeprefix(_PREFIX): _area(cells) for name, cells in counts.items() if name.startswith(_PREFIX)}
    return Synthesis(_area(sum(counts.values(), Counter())), layers)


def _cells(report: str) -> dict[str, Counter[str]]:
    """Count each module's own cells; every module stands in a design once."""
    found: dict[str, Counter[str]] = {}
    for line in report.splitlines():
        if module := _MODULE.search(line):
            name = module[1].lstrip("\\")
            found[name] = Counter()
        elif found and (cell := _CELL.match(line)):
            found[name][cell[1]] += int(cell[2])
    found.pop("design hierarchy", None)
    return found


def _area(cells: Counter[str]) -> Area:
    return Area(
        lut=_sum(cells, (f"LUT{n}" for n in range(1, 7))),
        ff=_sum(cells, ("FDRE", "FDSE", "FDCE", "FDPE")),
        carry=_sum(cells, ("CARRY4", "CARRY8")),
        lutram=_sum(cells, (name for name in cells if re.match(r"RAM\d+[MX]", name))),
        bram=_sum(cells, (name for name in cells if name.startswith("RAMB"))),
        dsp=_sum(cells, (name for name in cells if name.startswith("DSP"))),
    )


def _sum(cells: Counter[str], names: Iterable[str]) -> int:
    return sum(cells[name] for name in names)
