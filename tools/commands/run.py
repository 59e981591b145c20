"""``optimise-onnx run``."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import check_outputs
from ..settings import Running
from ..terminal import NORMAL, VERBOSE, Terminal
from . import options as o

if TYPE_CHECKING:
    from ...passes.observers import Observer


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
    labels: o.Aside = None,
    dump_after: o.DumpAfter = None,
    print_after: o.PrintAfter = False,
    time_passes: o.TimePasses = False,
    verify_each: o.VerifyEach = True,
    resume: o.Resume = None,
    json_file: o.Json = None,
    **running: Any,
) -> None:
    """Run a pipeline of passes as written."""
    output = o.needed(o.written(place, output), "add -o OUT.onnx")
    check_outputs([output, json_file], [source, data])
    from ...passes.checkpoint import given_facts
    from ...passes.manager import PassManager
    from ...passes.observers import Timing
    from .. import api, sizing, table
    from ..output import save
    from ..report import notes

    observers = [timing := Timing(), *_observers(dump_after, out.say if print_after else None)]
    manager = PassManager.parse(passes, observers, given=given_facts(resume) if resume else ())
    with out.progress() as progress:
        found = api.run_pipeline(source, manager, data, samples, verify_each, resume, progress, labels, **running)
    told = [*found.notes, *sizing.notes(found.start)]
    for level, lines in ((NORMAL, told), (VERBOSE, notes(found.records))):
        for line in lines:
            out.say(line, level)
    if time_passes:
        out.say(table.plain(("pass", "seconds"), [(name, f"{spent:.3f}") for name, spent in timing.seconds.items()]))
    save(out, found.graph, output, values={json_file: {"passes": [*map(asdict, found.records)], "notes": told}})


def _observers(folder: Path | None, say: Callable[[str], None] | None) -> "Iterator[Observer]":
    from ...passes.observers import DumpAfter, PrintAfter

    if folder is not None:
        yield DumpAfter(folder)
    if say is not None:
        yield PrintAfter(say)
