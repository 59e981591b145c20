"""Cycles and words of a design, clock by clock, by Verilator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....ir.errors import LoweringError
from ..network import Floats
from .design import FILE, TOP, Design
from .formats import StreamFormat
from .tools import run_tool

_TESTBENCH = """\
module testbench (input clk);
  reg rst = 1;
  reg [1:0] starting = 0;
  reg [31:0] cycle = 0, noise = 32'h2545f491;
  wire calm = !$test$plusargs("stalls");
  {wires}
  {top} dut (.clk(clk), .rst(rst), {ports});
  {feeds}
  always @(posedge clk) begin
    starting <= starting + !(&starting);
    rst <= !(&starting);
    noise <= {{noise[30:0], noise[31] ^ noise[21] ^ noise[1] ^ noise[0]}};
    if (!rst) cycle <= cycle + 1;
    {results}
    if ({done} || cycle == {limit}) $finish;
  end
endmodule
"""

_MAIN = """\
#include "Vtestbench.h"
#include "verilated.h"
int main(int count, char** words) {
  VerilatedContext context;
  context.commandArgs(count, words);
  Vtestbench bench{&context};
  while (!context.gotFinish()) {
    for (int level = 0; level < 2; ++level) {
      bench.clk = level;
      bench.eval();
      context.timeInc(1);
    }
  }
  bench.final();
}
"""

_PATIENCE = 64
"""Clocks that a word may take on each link, stalls among them, before the design counts as stuck."""


@dataclass(frozen=True, eq=False)
class Simulation:
    """``outputs`` by layer, (n, H, W, C) or (n, N).

    ``latency``: clocks from offering the first word of the first image to its last result, both counted; ``interval``:
    clocks between the last results of the last two images. ``peaks``: the most words that each link stored.
    """

    outputs: Mapping[str, Floats]
    latency: int
    interval: int
    peaks: Mapping[str, int]


def simulate(
    design: Design, feeds: Mapping[str, Floats], stalls: bool = False, limit: float = 600.0, pace: int = 0
) -> Simulation:
    """Run images back to back through a design: ``feeds`` by input layer, (n, H, W, C) or (n, N), on its grid, n >= 2.

    ``stalls``: the source and the sink wait at random, which changes the cycles but no word. ``limit``: seconds for
    each of compiling and running. ``pace``: the fewest clocks from offering one image to offering the next. Raises
    LoweringError where Verilator is missing, or fails, or the design gets stuck; ValueError for fewer than two images.
    """
    images = len(next(iter(feeds.values())))
    if images < 2:
        raise ValueError("an interval lies between two images")
    folder = design.folder / "simulation"
    folder.mkdir(exist_ok=True)
    for i, name in enumerate(design.inputs):
        (folder / f"in{i}.hex").write_text(_words(feeds[name], form_of(design, name)), encoding="utf-8")
    (folder / "testbench.v").write_text(_testbench(design, images, pace), encoding="utf-8")
    (folder / "main.cpp").write_text(_MAIN, encoding="utf-8")
    _compile(folder, limit)
    program = str((folder / "obj_dir/Vtestbench").resolve())
    text = run_tool([program, *(["+stalls"] if stalls else [])], "verilator", folder, limit)
    return _read(design, images, [line.split() for line in text.splitlines()])


def form_of(design: Design, layer: str) -> StreamFormat:
    """Return what a layer of a design gives."""
    return next(link.form for link in design.links if link.writer == layer)


def _compile(folder: Path, limit: float) -> None:
    command = ["verilator", "--cc", "--exe", "--build", "-Wno-fatal", "-Wno-lint", "-Wno-style", "--Mdir", "obj_dir"]
    command += ["-MAKEFLAGS", "OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0", "-j", "2", "--top-module", "testbench"]
    run_tool([*command, f"../{FILE}", "testbench.v", "main.cpp"], "verilator g++ make", folder, limit)


def _testbench(design: Design, images: int, pace: int) -> str:
    wires, ports, feeds, results, done = [], [], [], [], []
    for i, name in enumerate(design.inputs):
        form = form_of(design, name)
        count = images * form.words
        wires += [f"reg [{form.bits - 1}:0] feed{i} [0:{count - 1}];", f"reg [31:0] at{i} = 0;", f"wire ready_in{i};"]
        due = f"at{i} < {count} && cycle >= at{i} / {form.words} * {pace}"
        wires.append(f"wire valid_in{i} = !rst && {due} && (calm || noise[{i % 16}]);")
        ports.append(f".data_in{i}(feed{i}[at{i}]), .valid_in{i}(valid_in{i}), .ready_in{i}(ready_in{i})")
        feeds.append(f'initial $readmemh("in{i}.hex", feed{i});')
        results.append(f"if (valid_in{i} && ready_in{i}) at{i} <= at{i} + 1;")
    for i, name in enumerate(design.outputs):
        form = form_of(design, name)
        wires += [f"wire [{form.bits - 1}:0] data_out{i};", f"wire valid_out{i};", f"reg [31:0] got{i} = 0;"]
        wires.append(f"wire ready_out{i} = calm || noise[{16 + i % 16}];")
        ports.append(f".data_out{i}(data_out{i}), .valid_out{i}(valid_out{i}), .ready_out{i}(ready_out{i})")
        show = f'$display("out{i} %0d %h", cycle, data_out{i}); got{i} <= got{i} + 1;'
        results.append(f"if (!rst && valid_out{i} && ready_out{i}) begin {show} end")
        done.append(f"got{i} == {images * form.words}")
    limit = images * (_PATIENCE * sum(link.form.words for link in design.links) + pace)
    lists = {"wires": wires, "feeds": feeds, "results": results}
    texts = {name: "\n  ".join(lines) for name, lines in lists.items()}
    return _TESTBENCH.format(top=TOP, ports=", ".join(ports), done=" && ".join(done), limit=limit, **texts)


def _words(values: Floats, form: StreamFormat) -> str:
    """Write each pixel as a line of one hexadecimal word, channel 0 in the lowest bits."""
    width = form.kind.width
    steps = np.rint(values / form.kind.step).astype(np.int64).reshape(-1, form.channels)
    mask = (1 << width) - 1
    return "".join(f"{sum((int(step) & mask) << (width * c) for c, step in enumerate(row)):x}\n" for row in steps)


def _values(words: Sequence[str], form: StreamFormat) -> Floats:
    width = form.kind.width
    whole = [int(word, 16) for word in words]
    steps = np.array([[(word >> (width * c)) & ((1 << width) - 1) for c in range(form.channels)] for word in whole])
    steps = steps.reshape(len(whole), form.channels).astype(np.int64)
    if form.kind.signed:
        steps = steps - ((steps >> (width - 1)) << width)
    return np.asarray(steps * form.kind.step, np.float64)


def _read(design: Design, images: int, lines: Sequence[Sequence[str]]) -> Simulation:
    outputs, ends = {}, np.zeros(images, np.int64)
    for i, name in enumerate(design.outputs):
        form = form_of(design, name)
        rows = [line for line in lines if line and line[0] == f"out{i}"]
        if len(rows) != images * form.words:
            why = f"{len(rows)} words of {images * form.words} came out"
            raise LoweringError(f"the hardware got stuck before output '{name}'", why=why)
        outputs[name] = _values([row[2] for row in rows], form).reshape(images, *form.shape)
        ends = np.maximum(ends, [int(rows[k][1]) for k in range(form.words - 1, len(rows), form.words)])
    peaks = {design.links[int(line[1])].name: int(line[2]) for line in lines if line and line[0] == "link"}
    return Simulation(outputs, int(ends[0]) + 1, int(ends[-1] - ends[-2]), peaks)
