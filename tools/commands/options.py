"""Options of the commands, and the ones that all of them have."""

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated

import typer

from ..terminal import DEBUG, QUIET, Terminal

Model = Annotated[Path, typer.Argument(metavar="IN.onnx", help="The model to read.", show_default=False)]
First = Annotated[Path, typer.Argument(metavar="A.onnx", show_default=False)]
MaybeSecond = Annotated[Path | None, typer.Argument(metavar="[B.onnx]", show_default=False)]
Second = Annotated[Path, typer.Argument(metavar="B.onnx", show_default=False)]
Output = Annotated[Path, typer.Option("-o", "--output", metavar="OUT.onnx", help="The model to write.")]
MaybeOutput = Annotated[Path | None, typer.Option("-o", "--output", metavar="OUT.onnx", help="The model to write.")]
Json = Annotated[Path | None, typer.Option("--json", metavar="F", help="Write all of it as JSON.")]
Why = Annotated[
    str | None,
    typer.Option(metavar="TENSOR", help="Say only what couples and pins the channels of this tensor or node."),
]
Report = Annotated[Path | None, typer.Option(metavar="r.json", help="Write the figures as JSON.")]

Data = Annotated[
    str | None,
    typer.Option(
        metavar="D", help="Samples: an .npz whose keys are the inputs, a folder of them, or script.py:function."
    ),
]
Count = Annotated[int | None, typer.Option(min=1, metavar="N", help="Use the first N samples.")]
Labels = Annotated[str | None, typer.Option(metavar="KEY", help="Labels in the data; the table then shows accuracy.")]
Metric = Annotated[str | None, typer.Option(metavar="script.py:function", help="A metric for the table.")]
Seed = Annotated[int, typer.Option(min=0, metavar="S", help="Seed of all randomness.")]
Threads = Annotated[int, typer.Option(min=0, metavar="N", help="Threads for onnxruntime; 0 leaves it the choice.")]

Target = Annotated[
    str, typer.Option(metavar="T", help="latency=0.6x, latency=3ms, macs=0.5x, params=60%, bytes=4MB and the like.")
]
Criterion = Annotated[
    str | None, typer.Option(metavar="NAME", help="How channels are ranked: obs with data and magnitude without.")
]
Keep = Annotated[
    list[str], typer.Option(metavar="REGEX", help="Keep all channels of these nodes or tensors (repeatable).")
]
KeepType = Annotated[list[str], typer.Option(metavar="OP", help="Keep channels of this operator (repeatable).")]
Allocation = Annotated[
    str, typer.Option(metavar="NAME", help="Who loses how much: global by measured error, uniform, or bisect.")
]
Sampler = Annotated[
    bool, typer.Option("--sampler", help="Let layers read a part of a shared stream: fewer MACs, some copying.")
]
Forms = Annotated[
    list[str],
    typer.Option(metavar="NAME", help="Let layers become stretch, low-rank, strided, grouped, or all (repeatable)."),
]
Cache = Annotated[
    bool, typer.Option("--cache/--no-cache", help="Keep measurements for other targets of the same model and data.")
]
MaxRatio = Annotated[
    float | None, typer.Option(min=0.0, max=1.0, metavar="R", help="Remove at most this share of a group.")
]


def _multiple(align: str | int) -> int:
    if align == "auto":
        return 0
    if not str(align).isdecimal() or (isinstance(align, str) and int(align) < 1):
        raise typer.BadParameter(f"'{align}' is no width: give a number of channels, 1 or more, or auto")
    return int(align)


Align = Annotated[
    int,
    typer.Option(
        parser=_multiple,
        metavar="N|auto",
        show_default="auto",
        help="Keep widths multiples of N, or of what makes convolutions faster here.",
    ),
]
LatencyThreads = Annotated[
    int, typer.Option(min=0, metavar="N", help="Threads that latency is measured on; 0 leaves onnxruntime the choice.")
]
LatencyBatch = Annotated[int, typer.Option(min=1, metavar="N", help="Samples a run that latency is measured on.")]
LatencyCommand = Annotated[
    str | None,
    typer.Option(metavar="'CMD {model}'", help="Ask CMD, which prints milliseconds, how long a model takes elsewhere."),
]
Guard = Annotated[bool, typer.Option("--guard/--no-guard", help="Refuse a model slower than the original.")]
AllowPartial = Annotated[
    bool, typer.Option("--allow-partial", help="Where the target is missed, write the best found (exit code 4 still).")
]
Strict = Annotated[bool, typer.Option("--strict", help="Refuse operators without a rule (exit code 6).")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the table and write nothing.")]

Atol = Annotated[float, typer.Option(min=0.0, help="Largest absolute difference.")]
Rtol = Annotated[float, typer.Option(min=0.0, help="Largest difference relative to A.")]
Seconds = Annotated[float, typer.Option(min=0.0, help="How long to measure, about.")]
Batch = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Samples a run, for models that do not fix it; 1 by default.")
]
Profile = Annotated[bool, typer.Option("--profile", help="Also show the time of each operator and layer.")]

Passes = Annotated[str, typer.Option(metavar="TEXT", help="name{option=value,...},name2,... as `passes` lists them.")]
DumpAfter = Annotated[Path | None, typer.Option(metavar="DIR", help="Write the graph after every pass.")]
PrintAfter = Annotated[bool, typer.Option("--print-after", help="Print the graph after every change.")]
TimePasses = Annotated[bool, typer.Option("--time-passes", help="Show seconds by pass.")]
VerifyEach = Annotated[bool, typer.Option(help="Prove every removal against the masked model.")]

Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only.")]
Verbose = Annotated[int, typer.Option("-v", "--verbose", count=True, help="Say more; -vv also shows tracebacks.")]
NoColour = Annotated[bool, typer.Option("--no-colour", help="No colours; the variable NO_COLOR does the same.")]


SETTINGS: dict[str, tuple[object, object]] = {
    "criterion": (Criterion, None),
    "keep": (Keep, []),
    "keep_type": (KeepType, []),
    "allocation": (Allocation, "global"),
    "sampler": (Sampler, False),
    "forms": (Forms, []),
    "cache": (Cache, True),
    "max_ratio": (MaxRatio, None),
    "align": (Align, 0),
    "threads": (LatencyThreads, 0),
    "batch": (LatencyBatch, 1),
    "latency_command": (LatencyCommand, None),
    "guard": (Guard, True),
    "allow_partial": (AllowPartial, False),
    "seed": (Seed, 0),
    "strict": (Strict, False),
}
"""The fields of ``Settings`` as options, with their defaults: what a command's last parameter, ``**``, stands for."""


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command ``-q``, ``-v`` and ``--no-colour``; it gets the terminal they ask for as its first argument."""
    common = {"context": typer.Context, "quiet": Quiet, "verbose": Verbose, "no_colour": NoColour}
    defaults = {"context": inspect.Parameter.empty, "quiet": False, "verbose": 0, "no_colour": False}

    @wraps(function)
    def run(context: typer.Context, quiet: bool, verbose: int, no_colour: bool, **options: object) -> None:
        terminal: Terminal = context.obj
        terminal.verbosity = QUIET if quiet else min(verbose, DEBUG)
        terminal.colour = not no_colour
        function(terminal, **options)

    own = list(inspect.signature(function).parameters.values())[1:]
    added = [_parameter(name, kind, defaults[name]) for name, kind in common.items()]
    if own and own[-1].kind is inspect.Parameter.VAR_KEYWORD:
        added = [_parameter(name, *given) for name, given in SETTINGS.items()] + added
        own.pop()
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own] + added
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _parameter(name: str, kind: object, default: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
