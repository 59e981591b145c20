"""Options of ``hls`` alone."""

from pathlib import Path
from typing import Annotated, Any

import typer

Project = Annotated[Path, typer.Option(metavar="DIR", help="The folder to write; one that we wrote is replaced.")]
Backend = Annotated[
    str | None, typer.Option(metavar="NAME", show_default="Vitis", help="Vitis, Vivado, Quartus or Catapult.")
]
IoType = Annotated[
    str | None, typer.Option(metavar="NAME", help="io_stream, or io_parallel as networks of vectors have it.")
]
Strategy = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="latency, resource or distributed_arithmetic; by default what suits a layer."),
]
Reuse = Annotated[
    str | None,
    typer.Option(
        metavar="auto|N", show_default="auto", help="Products a multiplier does in turn; auto balances layers."
    ),
]
Multipliers = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="M", show_default="by part", help="The budget that reuse auto keeps to, and a limit for N."
    ),
]
Bits = Annotated[
    str | None, typer.Option(metavar="8|12|16|W,A", help="Bits of weights and activations, instead of an error.")
]
Layers = Annotated[
    list[str] | None,
    typer.Option(
        "--layer",
        metavar="NAME:K=V,...",
        help="Of one layer, or one ONNX node: bits=8,4, reuse=16, strategy=resource; give it again for more.",
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--hls-config", metavar="FILE.yml", help="hls4ml's own configuration; options given here hold over it."
    ),
]
MaxError = Annotated[
    float | None,
    typer.Option(metavar="E", show_default="0.02", help="As few bits as keep outputs within this RMS error, a share."),
]
Part = Annotated[
    str | None,
    typer.Option(metavar="P", show_default="xc7z020clg400-1", help="The device; its DSP blocks are a budget."),
]
Clock = Annotated[
    float | None, typer.Option(metavar="NS", show_default="5", help="The clock period, for the vendor's tool.")
]
Count = Annotated[
    int | None, typer.Option(min=1, metavar="N", show_default="256", help="Take types from the first N samples.")
]
Compare = Annotated[
    Path | None, typer.Option(metavar="BEFORE.onnx", help="Compare analytic costs with the model this was made from.")
]
Rtl = Annotated[
    bool, typer.Option("--rtl", help="Make hardware of a small network, simulate it, count its cells (minutes).")
]
Front = Annotated[
    bool,
    typer.Option("--front", help="With --compare: both models within half, all and twice of --max-error, in a table."),
]
Recalibrate = Annotated[
    bool, typer.Option("--recalibrate", help="Leave out what quantises values in the model; types come from samples.")
]
Csim = Annotated[bool, typer.Option("--csim/--no-csim", help="Prove the project by compiling and simulating it.")]


def settings(**options: Any) -> Any:
    """Check and gather options. Raises UsageError."""
    from ..hls.settings import Settings

    return Settings.parse(**options)
