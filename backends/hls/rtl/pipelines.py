"""Verilog of a kernel: its adder graph cut into stages, registers that a clock enable holds, one width for all sums."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..adder_graphs import STAGE_ADDERS, Kernel, da4ml
from ..fixed import Fixed

Bits = tuple[bool, int, int]
"""Of one number: signed, bits before and bits behind the point, the sign aside."""

_SHELL = """\
module {name} (input clk, input ce, input [{inputs}:0] x, output [{outputs}:0] y);
  {body}
endmodule
"""


@dataclass(frozen=True)
class Pipeline:
    """``verilog``: a module (clk, ce, x, y), y ``levels`` clocks behind x; ``sums``: the type of y's numbers, where the
    step of input times weight counts as 1.
    """

    verilog: str
    levels: int
    sums: Fixed


def adder_sources() -> str:
    """Return the modules that da4ml's stages are made of, without pragmas that older Verilators do not know."""
    folder = Path(str(da4ml("codegen").__file__)).parent / "rtl/verilog/source"
    texts = ((folder / f"{name}.v").read_text(encoding="utf-8") for name in ("shift_adder", "negative"))
    return re.sub(r"// verilator .*|/\* verilator .*?\*/|`timescale .*", "", "\n".join(texts))


def pipeline(name: str, kernel: Kernel, operand: Fixed) -> Pipeline:
    """Cut a kernel whose inputs have a type into stages of five adders each, in modules whose names begin by ``name``.

    A kernel of which all weights are 0 gives its constants after one clock.
    """
    bits = {column: _constant_bits(value) for column, value in kernel.constants.items()}
    stages = _stages(kernel)
    kif = da4ml("types").minimal_kif
    if stages:
        bits |= zip(kernel.columns, map(kif, stages[-1].out_qint), strict=True)
    before, behind = (max(kind[at] for kind in bits.values()) for at in (1, 2))
    sums = Fixed(1 + before + max(behind, 0), 1 + before)
    texts, lines, at = [], [], _packed_inputs(stages, operand.width)
    for i, stage in enumerate(stages):
        width = sum(sum(kif(interval)) for interval in stage.out_qint)
        texts.append(da4ml("codegen.rtl.verilog.comb").comb_logic_gen(stage, f"{name}_stage{i}"))
        lines += [
            f"wire [{width - 1}:0] found{i};",
            f"reg [{width - 1}:0] held{i};",
            f"{name}_stage{i} stage{i} (.model_inp({at}), .model_out(found{i}));",
            f"always @(posedge clk) if (ce) held{i} <= found{i};",
        ]
        at = f"held{i}"
    pieces = _sum_pieces(kernel, [kif(interval) for interval in stages[-1].out_qint] if stages else [], at, sums)
    lines.append(f"assign y = {{{', '.join(reversed(pieces))}}};")
    inputs = operand.width * (kernel.sums.shape[0] if stages else 1)
    shell = _SHELL.format(name=name, inputs=inputs - 1, outputs=len(pieces) * sums.width - 1, body="\n  ".join(lines))
    return Pipeline("\n".join((*texts, shell)), max(1, len(stages)), sums)


def _stages(kernel: Kernel) -> Sequence[Any]:
    if kernel.sums is None:
        return ()
    cut = da4ml("trace").to_pipeline(kernel.sums, STAGE_ADDERS, retiming=False)
    return tuple(cut.solutions)


def _packed_inputs(stages: Sequence[Any], width: int) -> str:
    """Pick the inputs that da4ml kept: one without a weight has no bits there."""
    if not stages:
        return ""
    kif = da4ml("types").minimal_kif
    kept = [i for i, interval in enumerate(stages[0].inp_qint) if sum(kif(interval))]
    return f"{{{', '.join(f'x[{i * width} +: {width}]' for i in reversed(kept))}}}"


def _sum_pieces(kernel: Kernel, kinds: Sequence[Bits], held: str, sums: Fixed) -> list[str]:
    """Return each output as an expression of the one width, signed, its point where the others' is."""
    pieces, low = {}, 0
    for column, kind in zip(kernel.columns, kinds, strict=True):
        width = sum(kind)
        zeros = sums.fraction - kind[2]
        sign = f"{held}[{low + width - 1}]" if kind[0] else "1'b0"
        parts = [f"{{{sums.width - width - zeros}{{{sign}}}}}", f"{held}[{low} +: {width}]", f"{{{zeros}{{1'b0}}}}"]
        kept = [part for part in parts if not part.startswith("{0{")]
        pieces[column] = f"{{{', '.join(kept)}}}"
        low += width
    for column, value in kernel.constants.items():
        whole = round(value / sums.step) % 2**sums.width
        pieces[column] = f"{sums.width}'d{whole}"
    return [pieces[column] for column in sorted(pieces)]


def _constant_bits(value: float) -> Bits:
    behind = 0
    while value != round(value):
        value, behind = value * 2, behind + 1
    return value < 0, max(1, int(abs(value)).bit_length() - behind), behind
