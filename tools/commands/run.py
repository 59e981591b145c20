"""``optimise-onnx run``."""

from pathlib import Path
from typing import Annotated

import typer

from ..files import check_output, write
from ..terminal import VERBOSE
from .options import Count, Data, Model, NoColour, Quiet, Seed, Verbose, terminal


def run(
    context: typer.Context,
    source: Model,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT.onnx", help="The model to write.")],
    passes: Annotated[str, typer.Option(metavar="TEXT", help="name{option=value,…},name2,…; `passes` lists them.")],
    data: Data = None,
    samples: Count = None,
    seed: Seed = 0,
    dump_after: Annotated[Path | None, typer.Option(metavar="DIR", help="Write the graph after every pass.")] = None,
    print_after: Annotated[bool, typer.Option("--print-after", help="Print the graph after every change.")] = False,
    time_passes: Annotated[bool, typer.Option("--time-passes", help="Show seconds by pass.")] = False,
    verify_each: Annotated[bool, typer.Option(help="Prove every removal against the masked model.")] = True,
    quiet: Quiet = False,
    verbose: Verbose = 0,
    no_colour: NoColour = False,
) -> None:
    """Run a pipeline of passes as written."""
    from ...backends.ort import OrtRunner
    from ...frontends.calibration import calibration
    from ...passes.base import Context
    from ...passes.manager import PassManager
    from ...passes.observers import DumpAfter, Observer, PrintAfter, Timing
    from .. import api, table
    from ..compression import baseline
    from ..report import notes

    out = terminal(context, quiet, verbose, no_colour)
    check_output(output, [source, *([data] if data else [])])
    timing = Timing()
    observers: list[Observer] = [timing, *([DumpAfter(dump_after)] if dump_after else [])]
    observers += [PrintAfter(out.say)] if print_after else []
    manager = PassManager.parse(passes, observers)
    graph = api.load(source)
    used = None if data is None else calibration(data, graph, samples=samples)
    with out.progress() as progress:
        state = Context(OrtRunner(), baseline(graph, OrtRunner()), used, seed, verify_each, progress=progress)
        records = manager.run(graph, state)
    OrtRunner().session(graph)
    write(output, graph.to_model().SerializeToString(deterministic=True))
    for line in notes(records):
        out.say(line, VERBOSE)
    if time_passes:
        out.say(table.plain(("pass", "seconds"), [(name, f"{spent:.3f}") for name, spent in timing.seconds.items()]))
    out.say(f"wrote {output}")
