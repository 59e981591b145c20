"""``optimise-onnx demo``."""

from pathlib import Path

import typer

from .compress import save, show
from .options import NoColour, Quiet, Seed, Verbose, terminal

_TARGET = "macs=0.5x"
_FOLDER = Path("optimise-onnx-demo")


def demo(
    context: typer.Context, seed: Seed = 0, quiet: Quiet = False, verbose: Verbose = 0, no_colour: NoColour = False
) -> None:
    """Halve the work of a small trained network that ships with the package, and show that it still reads digits."""
    from ...backends.ort import OrtRunner
    from ...demo import load_samples, paths
    from ...ir.feeds import Calibration
    from ...passes.allocate.targets import Target
    from .. import api, probe
    from ..compression import Settings, report, rewrite
    from ..files import check_output, make_folder
    from ..measure import accuracy

    out = terminal(context, quiet, verbose, no_colour)
    model, figures = _FOLDER / "digits.onnx", _FOLDER / "report.json"
    make_folder(_FOLDER)
    check_output(model)
    check_output(figures)
    graph, samples = api.load(paths()[0]), load_samples()
    settings = Settings(Target.parse(_TARGET), "obs", seed=seed)
    calibration = Calibration.from_arrays({"image": samples.calibration})
    test = Calibration.from_arrays({"image": samples.test_image, "digit": samples.test_label})
    runner = OrtRunner()
    with out.progress() as progress:
        rewritten = rewrite(graph, settings, calibration, runner, progress)
        measured = probe.from_data(graph, test, "test images the network has never seen")
        found = report(graph, rewritten, settings, runner, calibration, measured, accuracy("digit"))
    show(out, found)
    save(out, api.CompressResult(rewritten.graph.to_model(), found, rewritten.records), model, figures)
