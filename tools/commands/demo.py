"""``optimise-onnx demo``."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import check_outputs, make_folder, write
from ..terminal import Terminal
from . import options as o

if TYPE_CHECKING:
    from ...ir.graph import Array

_TARGET = "macs=0.5x"
_ALIGN = 8  # onnxruntime's CPU kernels work in blocks of channels: other widths can be slower than the original
_FOLDER = Path("optimise-onnx-demo")


@o.command
def demo(out: Terminal, seed: o.Seed = 0, json_file: o.Json = None) -> None:
    """Halve the work of a small trained network that ships with the package, and show that it still reads digits.

    The network and labelled test images are left beside the result, for other commands.
    """
    make_folder(_FOLDER)
    model, figures, original, images = (
        _FOLDER / name for name in ("digits.onnx", "report.json", "original.onnx", "images.npz")
    )
    check_outputs([model, figures, original, images, json_file])
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
    output.save(out, found, model, figures, json_file)
    write({original: [paths()[0].read_bytes()], images: [_archive(image=samples.test_image, digit=samples.test_label)]})


def _archive(**arrays: "Array") -> bytes:
    """Return an ``.npz`` of arrays."""
    import numpy as np

    made = io.BytesIO()
    np.savez(made, **arrays)  # type: ignore[arg-type]
    return made.getvalue()
