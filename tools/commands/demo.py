"""``optimise-onnx demo``."""

from pathlib import Path

from ..files import check_output, make_folder
from ..terminal import Terminal
from . import options as o

_TARGET = "macs=0.5x"
_ALIGN = 8  # onnxruntime's CPU kernels work in blocks of channels: other widths can be slower than the original
_FOLDER = Path("optimise-onnx-demo")


@o.command
def demo(out: Terminal, seed: o.Seed = 0) -> None:
    """Halve the work of a small trained network that ships with the package, and show that it still reads digits."""
    make_folder(_FOLDER)
    model, figures = _FOLDER / "digits.onnx", _FOLDER / "report.json"
    check_output(model)
    check_output(figures)
    from ...demo import load_samples, paths
    from ...ir.feeds import Calibration
    from .. import api, evaluation, output
    from ..measure import accuracy
    from ..settings import Settings

    graph, samples = api.load(paths()[0]), load_samples()
    settings = Settings.parse(_TARGET, align=_ALIGN, seed=seed)
    calibration = Calibration.from_arrays({"image": samples.calibration})
    test = Calibration.from_arrays({"image": samples.test_image, "digit": samples.test_label})
    measured = evaluation.from_data(graph, test, "test images that the network has never seen")
    with out.progress() as progress:
        found = api.compress_graph(graph, settings, calibration, measured, accuracy("digit"), progress)
    output.show(out, found.report)
    output.save(out, found, model, figures)
