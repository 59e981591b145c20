"""``optimise-onnx verify``."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from ...ir.errors import VerificationError
from ..files import check_outputs
from ..terminal import Terminal
from . import options as o

if TYPE_CHECKING:
    from ...ir.feeds import Calibration
    from ...ir.graph import Graph
    from ..compare import Difference


@o.command
def verify(
    out: Terminal,
    first: o.First,
    second: o.Second,
    data: o.Data = None,
    samples: o.Count = None,
    labels: o.Aside = None,
    preprocess: o.Preprocess = None,
    inputs: o.Inputs = None,
    atol: o.Atol = 1e-5,
    rtol: o.Rtol = 1e-3,
    seed: o.Seed = 0,
    threads: o.Threads = 0,
    input_shapes: o.InputShapes = None,
    json_file: o.Json = None,
) -> None:
    """Compare the interfaces and the outputs of two models; exit code 5 when they differ."""
    check_outputs([json_file], [first, second, data])
    from ...backends.ort import OrtRunner
    from ...ir.verify import check_interface
    from .. import api, evaluation, sizing
    from ..compare import differences
    from ..output import write_json

    a, b = api.load(first), api.load(second)
    check_interface(b, a)
    runner = OrtRunner(threads)
    sessions = runner.session(a), runner.session(b)
    given = None if data is None else _read(data, a, samples, labels, preprocess, inputs or ())
    a = sizing.sized(a, runner, input_shapes, given)
    used = evaluation.from_data(a, given, "samples") if given else evaluation.at_random(a, sessions[0], seed)
    found = differences(*sessions, used, atol, rtol)
    notes = [*(given.notes if given else ()), *sizing.notes(a)]
    _say(out, found, [f"compared on {used.origin}", *notes])
    told = {"compared_on": used.origin, "atol": atol, "rtol": rtol, "notes": notes}
    write_json(out, json_file, {**told, "outputs": {name: asdict(each) for name, each in found.items()}})
    _check(found, f"more than {atol:g} + {rtol:g} |A|")


def _read(
    data: str, graph: "Graph", samples: int | None, labels: str | None, preprocess: str | None, inputs: Sequence[str]
) -> "Calibration":
    from ...frontends.calibration import calibration

    extra = [labels] if labels else []
    found = calibration(data, graph, samples=samples, extra=extra, preprocess=preprocess, inputs=inputs)
    return found.only(t.name for t in graph.inputs)


def _say(out: Terminal, found: "Mapping[str, Difference]", notes: Iterable[str]) -> None:
    from .. import table

    rows = [(n, f"{d.absolute:.3g}", f"{d.relative:.3g}", "yes" if d.within else "no") for n, d in found.items()]
    out.say(table.plain(("output", "largest difference", "largest relative", "within limits"), rows))
    for note in notes:
        out.say(note)


def _check(found: "Mapping[str, Difference]", why: str) -> None:
    for name, difference in found.items():
        if not difference.within:
            raise VerificationError(f"output '{name}' differs by {difference.absolute:.3g}", why=why)
