"""Options of ``hls`` alone."""

from pathlib import Path
from typing import Annotated

import typer

Project = Annotated[Path, typer.Option(metavar="DIR", help="The folder to write; one that we wrote is replaced.")]
Backend = Annotated[str, typer.Option(metavar="NAME", help="Vitis, Vivado, Quartus or Catapult.")]
IoType = Annotated[
    str | None, typer.Option(metavar="NAME", help="io_stream, or io_parallel as networks of vectors have it.")
]
Strategy = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="latency, resource or distributed_arithmetic; by default what suits a layer."),
]
Reuse = Annotated[str, typer.Option(metavar="auto|N", help="Products a multiplier does in turn; auto balances layers.")]
Multipliers = Annotated[
    int | None, typer.Option(min=1, metavar="M", show_default="by part", help="The budget that reuse auto keeps to.")
]
Bits = Annotated[
    str | None, typer.Option(metavar="8|12|16|W,A", help="Bits of weights and activations, instead of an error.")
]
MaxError = Annotated[
    float | None,
    typer.Option(metavar="E", show_default="0.02", help="As few bits as keep outputs within this RMS error, a share."),
]
Part = Annotated[
    str | None,
    typer.Option(metavar="P", show_default="xc7z020clg400-1", help="The device; its DSP blocks are a budget."),
]
Clock = Annotated[float, typer.Option(metavar="NS", help="The clock period, for the vendor's tool.")]
Count = Annotated[
    int | None, typer.Option(min=1, metavar="N", show_default="256", help="Take types from the first N samples.")
]
Compare = Annotated[
    Path | None, typer.Option(metavar="BEFORE.onnx", help="Compare analytic costs with the model this was made from.")
]
Rtl = Annotated[
    bool, typer.Option("--rtl", help="Make hardware of a small network, simulate it, count its cells (minutes).")
]
Recalibrate = Annotated[
    bool, typer.Option("--recalibrate", help="Leave out what quantises values in the model; types come from samples.")
]
Csim = Annotated[bool, typer.Option("--csim/--no-csim", help="Prove the project by compiling and simulating it.")]
