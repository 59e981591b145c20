"""``optimise-onnx bench``."""

from pathlib import Path
from typing import Annotated

import typer

from .options import NoColour, Quiet, Seed, Threads, Verbose, terminal


def bench(
    context: typer.Context,
    first: Annotated[Path, typer.Argument(metavar="A.onnx", show_default=False)],
    second: Annotated[Path | None, typer.Argument(metavar="[B.onnx]", show_default=False)] = None,
    threads: Threads = 0,
    seconds: Annotated[float, typer.Option(min=0.0, help="How long to measure, about.")] = 5.0,
    seed: Seed = 0,
    quiet: Quiet = False,
    verbose: Verbose = 0,
    no_colour: NoColour = False,
) -> None:
    """Measure the latency of one sample: interleaved runs, medians, and the ratio B / A with its quartiles."""
    from ...backends.ort import OrtRunner
    from .. import api, probe, table
    from ..bench import latency

    out = terminal(context, quiet, verbose, no_colour)
    paths = [first, *([second] if second else [])]
    graphs = [api.load(path) for path in paths]
    sessions = [OrtRunner(threads).session(graph) for graph in graphs]
    feeds = [probe.one(graph, session, seed) for graph, session in zip(graphs, sessions, strict=True)]
    found = latency(sessions, feeds, seconds)
    out.say(table.bench([str(path) for path in paths], found))
    out.say(f"{found.rounds} rounds, {threads or 'all'} threads")
