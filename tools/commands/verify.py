"""``optimise-onnx verify``."""

from pathlib import Path
from typing import Annotated

import typer

from ...ir.errors import VerificationError
from .options import Count, Data, NoColour, Quiet, Seed, Threads, Verbose, terminal


def verify(
    context: typer.Context,
    first: Annotated[Path, typer.Argument(metavar="A.onnx", show_default=False)],
    second: Annotated[Path, typer.Argument(metavar="B.onnx", show_default=False)],
    data: Data = None,
    samples: Count = None,
    atol: Annotated[float, typer.Option(min=0.0, help="Largest absolute difference.")] = 1e-5,
    rtol: Annotated[float, typer.Option(min=0.0, help="Largest difference relative to A.")] = 1e-3,
    seed: Seed = 0,
    threads: Threads = 0,
    quiet: Quiet = False,
    verbose: Verbose = 0,
    no_colour: NoColour = False,
) -> None:
    """Compare the interfaces and the outputs of two models; exit code 5 when they differ."""
    from ...backends.ort import OrtRunner
    from ...frontends.calibration import calibration
    from .. import api, probe, table
    from ..compare import check_interfaces, differences

    out = terminal(context, quiet, verbose, no_colour)
    a, b = api.load(first), api.load(second)
    check_interfaces(a, b)
    runner = OrtRunner(threads)
    sessions = runner.session(a), runner.session(b)
    if data is None:
        used = probe.at_random(a, sessions[0], seed)
    else:
        used = probe.from_data(a, calibration(data, a, samples=samples), "samples")
    found = differences(*sessions, used, atol, rtol)
    rows = [(n, f"{d.absolute:.3g}", f"{d.relative:.3g}", "yes" if d.within else "no") for n, d in found.items()]
    out.say(table.plain(("output", "largest difference", "largest relative", "within limits"), rows))
    out.say(f"compared on {used.origin}")
    failed = [name for name, d in found.items() if not d.within]
    if failed:
        name = failed[0]
        raise VerificationError(
            f"output '{name}' differs by {found[name].absolute:.3g}", why=f"more than {atol:g} + {rtol:g} |A|"
        )
