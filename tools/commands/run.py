"""``optimise-onnx run``."""

from typing import Any

from ..files import check_output
from ..settings import Running
from ..terminal import VERBOSE, Terminal
from . import options as o


@o.command(Running)
def run(
    out: Terminal,
    source: o.Model,
    place: o.Place = None,
    *,
    passes: o.Passes,
    output: o.MaybeOutput = None,
    data: o.Data = None,
    samples: o.Count = None,
    dump_after: o.DumpAfter = None,
    print_after: o.PrintAfter = False,
    time_passes: o.TimePasses = False,
    verify_each: o.VerifyEach = True,
    resume: o.Resume = None,
    **running: Any,
) -> None:
    """Run a pipeline of passes as written."""
    output = o.needed(o.written(place, output), "add -o OUT.onnx")
    check_output(output, [source, *([data] if data else [])])
    from ...passes.checkpoint import given_facts
    from ...passes.manager import PassManager
    from ...passes.observers import DumpAfter, Observer, PrintAfter, Timing
    from .. import api, sizing, table
    from ..output import save
    from ..report import notes

    timing = Timing()
    observers: list[Observer] = [timing, *([DumpAfter(dump_after)] if dump_after else [])]
    observers += [PrintAfter(out.say)] if print_after else []
    manager = PassManager.parse(passes, observers, given=given_facts(resume) if resume else ())
    with out.progress() as progress:
        found = api.run_pipeline(source, manager, data, samples, verify_each, resume, progress, **running)
    for line in (*found.notes, *sizing.notes(found.start)):
        out.say(line)
    for line in notes(found.records):
        out.say(line, VERBOSE)
    if time_passes:
        out.say(table.plain(("pass", "seconds"), [(name, f"{spent:.3f}") for name, spent in timing.seconds.items()]))
    save(out, found.graph, output)
