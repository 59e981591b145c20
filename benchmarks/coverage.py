"""Analyse and compress every exported model of a folder, and write docs/coverage.md.

    python benchmarks/coverage.py FOLDER [docs/coverage.md]

Each model goes through the command, in a process of its own: analyse, then compress to 0.7 of its parameters without
data. Removal is proved with the zero-mask oracle by compress itself, which ends with 5 where it fails.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

HEAD = """# Coverage

What of exported models can go. Random weights in published architectures, made smaller in depth or width; made by
`python benchmarks/exports.py FOLDER`, measured by `python benchmarks/coverage.py FOLDER`. *Free*: layers that make or
read channels that can go, as a share of all parameters and MACs. *0.7x*: how `compress --target params=0.7x` without
data ended, every removal proved with the zero-mask oracle; the share of the parameters that is left. *Interface*:
names, types and shapes of inputs and outputs are those of the original. CPU seconds and memory are those of whole
processes on one thread, start included; latency, which `compress` measures too, is left out.

"""
COLUMNS = (
    "model", "nodes", "free parameters", "free MACs", "groups", "0.7x", "left", "interface", "analyse, CPU s",
    "compress, CPU s", "peak MiB",
)  # fmt: skip
_PAUSE = 0.02  # seconds between two looks at a process
UNTIMED = ("--no-guard", "--latency-command", f"{sys.executable} -c print(1) {{model}}")


@dataclass(frozen=True)
class Ran:
    """How a command ended, what it printed last, its CPU seconds and its largest memory in MiB."""

    code: int
    said: str
    seconds: float
    memory: float


def ran(*arguments: str) -> Ran:
    """Run the command on one thread."""
    with tempfile.TemporaryFile("w+") as log:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(["optimise-onnx", *arguments], stdout=log, stderr=log, env=environment)
        memory, (ended, status, used) = 0, (0, 0, None)
        while not ended:
            memory = max(memory, peak(process.pid))
            time.sleep(_PAUSE)
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
        log.seek(0)
        lines = [line.strip() for line in log if line.strip()]
    code = os.waitstatus_to_exitcode(status)
    return Ran(code, lines[-1] if lines else "", used.ru_utime + used.ru_stime, memory / 1024)


def peak(process: int | str) -> int:
    """Return the largest memory of a process, or of ``self``, so far, in KiB; none of it is left of its maker's."""
    told = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", told)
    return int(found[1]) if found else 0


def interface(path: Path) -> list[Any]:
    """Return what a caller of the model relies on."""
    graph = onnx.load(path, load_external_data=False).graph
    return [value.SerializeToString() for value in (*graph.input, *graph.output)]


def parameters(path: Path) -> int:
    """Count stored floats."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.json"
        ran("analyse", str(path), "--json", str(found), "-q")
        return int(json.loads(found.read_text())["total"]["parameters"])


def row(path: Path) -> str:
    """Measure one model; return its line of the table."""
    with tempfile.TemporaryDirectory() as folder:
        told, out = Path(folder) / "told.json", Path(folder) / "out.onnx"
        analysed = ran("analyse", str(path), "--json", str(told), "-q")
        if analysed.code:
            return f"| {path.stem} | | | | | {analysed.code}: {analysed.said} | | | {analysed.seconds:.1f} | | |"
        found = json.loads(told.read_text())
        compressed = ran("compress", str(path), "-o", str(out), "--target", "params=0.7x", "-q", *UNTIMED)
        whole, left, kept = found["total"], "", ""
        if compressed.code == 0:
            left = f"{parameters(out) / whole['parameters']:.3f}"
            kept = "yes" if interface(path) == interface(out) else "**no**"
        ended = "met" if compressed.code == 0 else f"{compressed.code}: {compressed.said}"
        shares = " | ".join(f"{found['free'][kind] / max(whole[kind], 1):.1%}" for kind in ("parameters", "macs"))
        figures = f"{analysed.seconds:.1f} | {compressed.seconds:.1f} | {max(analysed.memory, compressed.memory):.0f}"
        nodes = len(onnx.load(path, load_external_data=False).graph.node)
        return f"| {path.stem} | {nodes} | {shares} | {len(found['groups'])} | {ended} | {left} | {kept} | {figures} |"


def main() -> None:
    """Measure all, print as it goes, and write the page."""
    folder, page = Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "docs/coverage.md")
    rows = []
    for path in sorted(folder.glob("*.onnx")):
        begun = time.monotonic()
        rows.append(row(path))
        print(rows[-1], f"{time.monotonic() - begun:.0f} s", flush=True)
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|", *rows]
    page.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
