"""Verilog of one layer: words come in, what it computes goes through registers, and words of its result go out."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..adder_graphs import Kernel
from ..network import Flatten, Layer
from ..precision import Types
from .bodies import body, weighted
from .formats import StreamFormat, cast, instance
from .heads import head
from .pipelines import pipeline

_MODULE = """\
(* keep_hierarchy *)
module {name} (
    input clk, input rst, {ports},
    output [{high}:0] out_data, output out_valid, input out_ready
);
  wire ce = out_ready | ~out_valid;
  {lines}
endmodule
"""


@dataclass(frozen=True)
class Unit:
    """A layer's module; ``levels``: the clocks from the last word that a result needs to the result."""

    verilog: str
    levels: int


def unit(layer: Layer, inputs: Sequence[StreamFormat], types: Types, kernel: Kernel | None) -> Unit:
    """Write a layer's module, named ``layer_`` and its name; ``kernel`` for those that have weights.

    Raises LoweringError, naming the layer, for what no hardware can be made of here.
    """
    taken, result = head(layer, inputs), types.result
    texts = []
    if kernel is None:
        computed = body(layer, taken, inputs, types)
        levels = 0 if isinstance(layer, Flatten) else 1
    else:
        assert types.weight is not None
        piped = pipeline(f"kernel_{layer.name}", kernel, taken.kind)
        texts.append(piped.verilog)
        computed = weighted(layer.name, piped, layer.shape[-1], taken.kind, types.weight)
        levels = piped.levels
    high = computed.channels * result.width - 1
    lines = [*taken.lines, *computed.lines, f"wire [{high}:0] z;"]
    lines += [cast(computed.channels, computed.kind, result, "y", "z"), *_ending(levels, kernel is None, high)]
    ports = ", ".join(
        f"input [{form.bits - 1}:0] in{i}_data, input in{i}_valid, output in{i}_ready" for i, form in enumerate(inputs)
    )
    texts.append(_MODULE.format(name=f"layer_{layer.name}", ports=ports, high=high, lines="\n  ".join(lines)))
    return Unit("\n".join(texts), taken.levels + levels)


def _ending(levels: int, registered: bool, high: int) -> list[str]:
    """Let valid follow the words; a layer without a kernel has no register of its own yet."""
    if not levels:
        return ["assign out_data = z, out_valid = x_valid;"]
    ports = {"clk": "clk", "rst": "rst", "ce": "ce", "in": "x_valid", "out": "out_valid"}
    lines = [instance("delay", "valid", {"L": levels}, ports)]
    if not registered:
        return [*lines, "assign out_data = z;"]
    return [*lines, f"reg [{high}:0] held;", "always @(posedge clk) if (ce) held <= z;", "assign out_data = held;"]
