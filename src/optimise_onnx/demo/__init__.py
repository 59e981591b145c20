"""A small trained network for handwritten digits with its data, so that a first run needs no download.

See ``README.md`` in this folder for where the data come from and how the network was made.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PIXEL_MAX = 16.0


class Samples(NamedTuple):
    """Images as the network takes them, shape (n, 1, 8, 8), pixels scaled to [0, 1]."""

    calibration: NDArray[np.float32]
    """Images the network was trained on, without labels."""
    test_image: NDArray[np.float32]
    """Images it has never seen."""
    test_label: NDArray[np.int64]
    """The digit each test image shows, shape (n,)."""


def paths() -> tuple[Path, Path]:
    """Return where the network (input ``image``, output ``logits``) and the samples lie."""
    folder = Path(__file__).parent
    return folder / "digits.onnx", folder / "digits.npz"


def load_samples() -> Samples:
    """Read the samples; in the file a pixel is a whole number from 0 to 16."""
    with np.load(paths()[1]) as stored:
        calibration, test_image, test_label = (stored[name] for name in Samples._fields)
    return Samples(_scale(calibration), _scale(test_image), test_label.astype(np.int64))


def _scale(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return (pixels / PIXEL_MAX).astype(np.float32)
