"""The networks that are compressed, each with files to calibrate with and to measure on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from deployed import Measured
from networks import CIFAR, Array, Read, imagenet, images

SEED = 31  # of test data that is made: nothing was fitted to it or chosen by it


@dataclass(frozen=True)
class Subject:
    """A network. ``shares`` are the MACs that are asked for, ``times`` what is asked of tools that aim at time."""

    name: str
    model: Path
    calibration: Path
    test: Path
    shape: str
    shares: tuple[float, ...]
    times: tuple[float, ...]

    def samples(self) -> dict[str, Array]:
        """Return what every method may look at, samples first; no labels."""
        with np.load(self.calibration) as held:
            return {name: held[name] for name in held.files}

    def unseen(self) -> tuple[dict[str, Array], Array]:
        """Return inputs that nothing was fitted to, and their classes."""
        with np.load(self.test) as held:
            return {name: held[name] for name in held.files if name != "labels"}, held["labels"]


Make = Callable[[Path, Path], Subject]  # (SHARED, folder to write to) -> the network


def _written(path: Path, read: Read, shared: Path, labelled: bool) -> Path:
    if not path.exists():
        inputs, labels = read(shared)
        known: dict[str, Any] = {"labels": labels} if labelled else {}
        np.savez(path, **inputs, **known)
    return path


def _pictures(name: str, model: str, read: tuple[Read, Read], side: int, shares: tuple[float, ...]) -> Make:
    def make(shared: Path, folder: Path) -> Subject:
        calibration = _written(folder / f"{name}-calibration.npz", read[0], shared, False)
        test = _written(folder / f"{name}-test.npz", read[1], shared, True)
        path = shared / "models" / f"{model}.onnx"
        return Subject(name, path, calibration, test, f"input:1,3,{side},{side}", shares, (shares[0],))

    return make


def _deployed(name: str, shape: str) -> Make:
    def make(_shared: Path, folder: Path) -> Subject:
        found = Measured.of(name, folder, SEED)
        return Subject(name, found.model, found.calibration, found.test, shape, (0.8, 0.6), (0.8,))

    return make


def _cifar() -> tuple[Read, Read]:
    return images("cifar10_train.npz", *CIFAR, 0, 512), images("cifar10_val.npz", *CIFAR, 0, 2500)


SUBJECTS: dict[str, Make] = {
    "resnet20": _pictures("resnet20", "resnet20_cifar10", _cifar(), 32, (0.7, 0.5)),
    "resnet56": _pictures("resnet56", "resnet56_cifar10", _cifar(), 32, (0.7, 0.5)),
    "efficientnet": _pictures("efficientnet", "efficientnet_lite0", imagenet(), 224, (0.9, 0.8)),
    "ocrcls": _deployed("ocrcls", "x:1,3,48,192"),
    "magika": _deployed("magika", "bytes:1,2048"),
}
