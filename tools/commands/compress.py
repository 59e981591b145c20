"""``optimise-onnx compress``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ...ir.errors import UsageError
from ..files import check_output, write
from ..terminal import VERBOSE, Terminal
from .options import Count, Data, Model, NoColour, Quiet, Seed, Verbose, terminal


def compress(
    context: typer.Context,
    source: Model,
    target: Annotated[str, typer.Option(metavar="T", help="macs=0.5x, params=60%, macs=120M, bytes=4MB, …")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="OUT.onnx", help="The model to write.")
    ] = None,
    data: Data = None,
    samples: Count = None,
    criterion: Annotated[
        str | None, typer.Option(metavar="NAME", help="How channels are ranked; obs with data, magnitude without.")
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="REGEX", help="Keep all channels of these nodes or tensors (repeatable)."),
    ] = None,
    keep_type: Annotated[
        list[str] | None, typer.Option(metavar="OP", help="Keep all channels of this operator (repeatable).")
    ] = None,
    max_ratio: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, metavar="R", help="Remove at most this share of a group.")
    ] = None,
    align: Annotated[int, typer.Option(min=1, metavar="N", help="Keep widths multiples of N.")] = 1,
    labels: Annotated[
        str | None, typer.Option(metavar="KEY", help="Labels in the data; the table shows accuracy.")
    ] = None,
    metric: Annotated[str | None, typer.Option(metavar="script.py:function", help="A metric for the table.")] = None,
    report: Annotated[Path | None, typer.Option(metavar="r.json", help="Write the figures as JSON.")] = None,
    seed: Seed = 0,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse operators without a rule (exit code 6).")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the table and write nothing.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
    no_colour: NoColour = False,
) -> None:
    """Remove channels until the model costs what --target says, and repair what is left."""
    from .. import api

    out = terminal(context, quiet, verbose, no_colour)
    _check_outputs(source, output, report, data, dry_run)
    with out.progress() as progress:
        result = api.compress(
            source,
            target=target,
            data=data,
            samples=samples,
            criterion=criterion,
            keep=keep or (),
            keep_type=keep_type or (),
            max_ratio=max_ratio,
            align=align,
            seed=seed,
            strict=strict,
            labels=labels,
            metric=metric,
            progress=progress,
        )
    show(out, result.report)
    if dry_run:
        out.say("dry run: nothing was written")
        return
    assert output is not None
    save(out, result, output, report)


def show(out: Terminal, report: "Report") -> None:
    """Print the table and what a person should know about it."""
    from .. import table
    from ..report import notes

    if report.calibration == 0:
        out.say(
            "data-free mode: without --data channels are ranked by their weights, and nothing is re-fitted to samples"
        )
    out.say(table.before_after(report))
    out.say(f"agreement measured on {report.fidelity.origin}")
    for line in notes(report.records):
        out.say(line, VERBOSE)
    if report.pins and out.verbosity >= VERBOSE:
        out.say(table.pins(report.pins))
    elif report.pins:
        out.say(f"some channels have to stay: {len(report.pins)} pins, which analyse lists with their reasons")


def save(out: Terminal, result: "CompressResult", output: Path, report: Path | None) -> None:
    """Write the model, and the report when asked."""
    write(output, result.model.SerializeToString(deterministic=True))
    if report is not None:
        write(report, (json.dumps(result.report.to_json(), indent=2) + "\n").encode())
    out.say(f"wrote {output}" + (f" and {report}" if report else ""))


def _check_outputs(source: Path, output: Path | None, report: Path | None, data: str | None, dry_run: bool) -> None:
    if dry_run:
        return
    if output is None:
        raise UsageError("no output is given", hint="add -o OUT.onnx or --dry-run")
    inputs = [source, *([data] if data else [])]
    check_output(output, inputs)
    if report is not None:
        check_output(report, [*inputs, output])
