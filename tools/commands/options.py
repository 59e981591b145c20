"""Options of the commands, and the ones that all of them have."""

import inspect
from collections.abc import Callable, Container
from dataclasses import fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from ...ir.errors import UsageError
from ...ir.memory import bounded
from ..process import heard
from ..settings import AUTO, NO_CACHE, TRUST, Running, Settings
from ..terminal import DEBUG, QUIET, Terminal
from .panels import ordered

Model = Annotated[
    Path,
    typer.Argument(
        metavar="IN.onnx",
        help="The model to read: .onnx, or .pt2, .keras, .h5, .tflite, a SavedModel, script.py:function, …",
        show_default=False,
    ),
]
First = Annotated[Path, typer.Argument(metavar="A.onnx", show_default=False)]
MaybeSecond = Annotated[Path | None, typer.Argument(metavar="[B.onnx]", show_default=False)]
Second = Annotated[Path, typer.Argument(metavar="B.onnx", show_default=False)]
MaybeOutput = Annotated[Path | None, typer.Option("-o", "--output", metavar="OUT.onnx", help="The model to write.")]
Place = Annotated[
    Path | None, typer.Argument(metavar="OUT.onnx", help="The model to write, as -o.", show_default=False)
]
Json = Annotated[Path | None, typer.Option("--json", metavar="F", help="Write all of it as JSON.")]
Why = Annotated[
    str | None,
    typer.Option(metavar="TENSOR", help="Say only what couples and pins the channels of this tensor or node."),
]
Report = Annotated[
    Path | None,
    typer.Option(
        metavar="OUT.html", help="Write a page to look at, and OUT.json beside it; OUT.json alone where it ends so."
    ),
]

Data = Annotated[
    str | None,
    typer.Option(
        metavar="D",
        help="Samples: an .npz whose keys are the inputs, an .npy or .csv file, a folder of such files or of images, "
        "or script.py:function (docs/data.md).",
    ),
]
Count = Annotated[int | None, typer.Option(min=1, metavar="N", help="Use the first N samples.")]
Labels = Annotated[
    str | None,
    typer.Option(metavar="KEY", help="Labels in the data, or `folder` of images; the table then shows accuracy."),
]
Aside = Annotated[str | None, typer.Option("--labels", metavar="KEY", help="Labels in the data, which are left aside.")]
Inputs = Annotated[
    list[str] | None,
    typer.Option("--input", metavar="NAME=constant|batch:1|state", help="How samples lie along an input (repeatable)."),
]
Preprocess = Annotated[
    str | None,
    typer.Option(metavar="P", help="How pixels of a folder of images become numbers: imagenet, 0-1, -1-1, raw, …"),
]
Metric = Annotated[str | None, typer.Option(metavar="script.py:function", help="A metric for the table.")]
InputShapes = Annotated[
    list[str] | None,
    typer.Option(
        "--input-shape", metavar="NAME:D0,D1,...", help="Sizes of an input that the model leaves open (repeatable)."
    ),
]
Trust = Annotated[bool, typer.Option("--trust", help=TRUST)]
Seed = Annotated[int, typer.Option(min=0, metavar="S", help="Seed of all randomness.")]
Threads = Annotated[int, typer.Option(min=0, metavar="N", help="Threads for onnxruntime; 0 leaves it the choice.")]


def _targets(context: typer.Context, target: str | None) -> str | None:
    """List all targets and end, where help is asked for; a model need not be named then."""
    if target != "help":
        return target
    from ...passes.analysis.costs.quantities import quantities
    from ..table import plain

    rows = [(f"{each.name}={each.examples[0]}", each.unit) for each in quantities().values()]
    context.obj.say(plain(("target", "limits"), rows))
    context.obj.say("a share of the original (0.5x, 50%), or an amount with its unit")
    raise typer.Exit


MaybeTarget = Annotated[
    str | None,
    typer.Option(
        metavar="T",
        help="A share or an amount: macs=0.5x, latency=3ms; `--target help` lists all.",
        callback=_targets,
        is_eager=True,
    ),
]
Config = Annotated[
    str | None,
    typer.Option(
        "-c",
        "--config",
        metavar="RECIPE.yaml",
        help="Options from a recipe file, or the name of one that ships; the command's own go before.",
    ),
]
SaveRecipe = Annotated[
    Path | None, typer.Option("--save-recipe", metavar="RECIPE.yaml", help="Write these options as a recipe file.")
]
PrintPipeline = Annotated[bool, typer.Option("--print-pipeline", help="Print the passes that this would run.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the table and write nothing.")]

Atol = Annotated[float, typer.Option(min=0.0, help="Largest absolute difference.")]
Rtol = Annotated[float, typer.Option(min=0.0, help="Largest difference relative to A.")]
Seconds = Annotated[float, typer.Option(min=0.0, help="How long to measure, about.")]
Batch = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Samples a run, for models that do not fix it; 1 by default.")
]
Profile = Annotated[bool, typer.Option("--profile", help="Also show the time of each operator and layer.")]

Passes = Annotated[str, typer.Option(metavar="TEXT", help="name{option=value,...},name2,... as `passes` lists them.")]
Resume = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Keep the state after every pass in DIR, and go on from there.")
]
DumpAfter = Annotated[Path | None, typer.Option(metavar="DIR", help="Write the graph after every pass.")]
PrintAfter = Annotated[bool, typer.Option("--print-after", help="Print the graph after every change.")]
TimePasses = Annotated[bool, typer.Option("--time-passes", help="Show seconds by pass.")]
VerifyEach = Annotated[bool, typer.Option(help="Prove every removal against the masked model.")]

Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only.")]
Verbose = Annotated[int, typer.Option("-v", "--verbose", count=True, help="Say more; -vv also shows tracebacks.")]
MemoryLimit = Annotated[
    str | None,
    typer.Option(
        "--memory-limit",
        metavar="SIZE",
        help="Refuse what needs more, like 4GiB; 80 % of free memory by default.",
    ),
]
NoColour = Annotated[bool, typer.Option("--no-colour", help="No colours; the variable NO_COLOR does the same.")]


def written(place: Path | None, output: Path | None) -> Path | None:
    """Return where the model goes, which stands behind the input or behind -o. Raises UsageError for two places."""
    if place is not None and output is not None and place != output:
        raise UsageError(f"two outputs are given: '{place}' and '{output}'", hint="give one of them")
    return output if place is None else place


def needed(output: Path | None, hint: str) -> Path:
    """Return where the model goes. Raises UsageError where nobody says."""
    if output is None:
        raise UsageError("no output is given", hint=hint)
    return output


def save_recipe(out: Terminal, path: Path | None, settings: Settings, **call: Any) -> None:
    """Write what was asked for, if it is to be, before any work is done."""
    if path is None:
        return
    from ..files import check_output, write
    from ..recipe_file import written

    if path.suffix not in (".yaml", ".yml"):
        raise UsageError(f"'{path}' is no name for a recipe", hint="name it .yaml")
    check_output(path)
    write({path: [written(settings, call)]})
    out.say(f"wrote {path}")


Command = Callable[..., None]


def command(given: Any) -> Callable[..., Any]:
    """Give a command ``-q``, ``-v``, ``--no-colour`` and ``--memory-limit``; it gets the terminal that they ask for as
    its first argument.

    ``command(Settings)`` also gives it the options of a class, for its last parameter, ``**``.
    """
    if isinstance(given, type):
        return lambda function: _with_options(function, given)
    return _with_options(given, None)


def _with_options(function: Command, kind: type[Running] | None) -> Command:
    common = {
        "context": typer.Context,
        "memory_limit": MemoryLimit,
        "quiet": Quiet,
        "verbose": Verbose,
        "no_colour": NoColour,
    }
    empty = inspect.Parameter.empty
    defaults = {"context": empty, "memory_limit": None, "quiet": False, "verbose": 0, "no_colour": False}

    @wraps(function)
    def run(
        context: typer.Context,
        memory_limit: str | None,
        quiet: bool,
        verbose: int,
        no_colour: bool,
        **options: object,
    ) -> None:
        terminal: Terminal = context.obj
        terminal.verbosity = QUIET if quiet else min(verbose, DEBUG)
        terminal.colour = not no_colour
        if terminal.debugging:
            heard()
        if options.get("config") is not None:
            options |= _from_recipe(context, str(options["config"]), sweep="targets" in options)
        with bounded(memory_limit):
            function(terminal, **options)

    own = list(inspect.signature(function).parameters.values())[1:]
    added = [_parameter(name, each, defaults[name]) for name, each in common.items()]
    if kind is not None:
        own.pop()
        added = _options(kind, {p.name for p in own}) + added
    parameters = ordered(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own + added)
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


def _options(kind: type[Running], besides: Container[str]) -> list[inspect.Parameter]:
    """Turn the fields of a class of options into parameters that typer reads."""
    hints = get_type_hints(kind, localns={"Target": object, "InputShapes": object, "Tape": object})
    found = []
    for each in fields(kind):
        if each.name in besides or not each.metadata:
            continue
        about = each.metadata
        several = about.get("several", False)
        extra = {"parser": _multiple, "show_default": AUTO} if each.name == "align" else {"min": about.get("least")}
        if about["flags"][:1] == (NO_CACHE,):
            extra["show_default"] = False  # it can only be switched off
        shown = typer.Option(*about["flags"], metavar=about["metavar"], help=about["about"], **extra)
        hint = list[str] if several else hints[each.name]
        found.append(_parameter(each.name, Annotated[hint, shown], [] if several else each.default))
    return found


def _from_recipe(context: typer.Context, config: str, sweep: bool) -> dict[str, Any]:
    """Return what a recipe asks for and the command line does not say otherwise. Raises UsageError."""
    from ..recipe_file import asked

    told = asked(config, sweep).items()
    by_default = ("DEFAULT", "DEFAULT_MAP")
    return {
        name: value for name, value in told if getattr(context.get_parameter_source(name), "name", "") in by_default
    }


def _multiple(align: str | int) -> int:
    if align == AUTO:
        return 0
    if not str(align).isdecimal() or (isinstance(align, str) and int(align) < 1):
        raise typer.BadParameter(f"'{align}' is no width: give a number of channels, 1 or more, or auto")
    return int(align)


def _parameter(name: str, kind: object, default: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
