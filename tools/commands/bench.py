"""``optimise-onnx bench``."""

from pathlib import Path
from typing import Annotated

import typer

from ..terminal import Terminal
from . import options as o


@o.command
def bench(
    out: Terminal,
    first: o.First,
    second: Annotated[Path | None, typer.Argument(metavar="[B.onnx]", show_default=False)] = None,
    threads: o.Threads = 0,
    seconds: o.Seconds = 5.0,
    seed: o.Seed = 0,
) -> None:
    """Measure the latency of one sample: interleaved runs, medians, and the ratio B / A with its quartiles."""
    from ...backends.ort import OrtRunner
    from ...ir.timing import latency
    from .. import api, probe, table

    paths = [first, *([second] if second else [])]
    graphs = [api.load(path) for path in paths]
    sessions = [OrtRunner(threads).session(graph) for graph in graphs]
    feeds = [probe.one(graph, session, seed) for graph, session in zip(graphs, sessions, strict=True)]
    found = latency(sessions, feeds, seconds)
    out.say(table.bench([str(path) for path in paths], found))
    out.say(f"{found.rounds} rounds, {threads or 'all'} threads")
