"""``optimise-onnx verify``."""

from ...ir.errors import VerificationError
from ..terminal import Terminal
from . import options as o


@o.command
def verify(
    out: Terminal,
    first: o.First,
    second: o.Second,
    data: o.Data = None,
    samples: o.Count = None,
    preprocess: o.Preprocess = None,
    inputs: o.Inputs = None,
    atol: o.Atol = 1e-5,
    rtol: o.Rtol = 1e-3,
    seed: o.Seed = 0,
    threads: o.Threads = 0,
    input_shapes: o.InputShapes = None,
) -> None:
    """Compare the interfaces and the outputs of two models; exit code 5 when they differ."""
    from ...backends.ort import OrtRunner
    from ...frontends.calibration import calibration
    from ...ir.verify import check_interface
    from .. import api, evaluation, sizing, table
    from ..compare import differences

    a, b = api.load(first), api.load(second)
    check_interface(b, a)
    runner = OrtRunner(threads)
    sessions = runner.session(a), runner.session(b)
    given = None if data is None else calibration(data, a, samples=samples, preprocess=preprocess, inputs=inputs or ())
    a = sizing.sized(a, runner, input_shapes, given)
    used = evaluation.from_data(a, given, "samples") if given else evaluation.at_random(a, sessions[0], seed)
    found = differences(*sessions, used, atol, rtol)
    rows = [(n, f"{d.absolute:.3g}", f"{d.relative:.3g}", "yes" if d.within else "no") for n, d in found.items()]
    out.say(table.plain(("output", "largest difference", "largest relative", "within limits"), rows))
    out.say(f"compared on {used.origin}")
    for note in (*(given.notes if given else ()), *sizing.notes(a)):
        out.say(note)
    for name, difference in found.items():
        if not difference.within:
            why = f"more than {atol:g} + {rtol:g} |A|"
            raise VerificationError(f"output '{name}' differs by {difference.absolute:.3g}", why=why)
