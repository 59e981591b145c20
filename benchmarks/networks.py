"""Compress trained networks and measure what they lose: the figures of docs/results.md.

    python benchmarks/networks.py SHARED [NAME ...]

SHARED is a folder with ``models/*.onnx``, ``data/*.npz`` and ``data/load.py``. Validation images are only measured on.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np

import optimise_onnx
from optimise_onnx.backends.ort import OrtRunner, OrtSession

Array = np.ndarray[Any, np.dtype[Any]]
Read = Callable[[Path], tuple[dict[str, Array], Array | None]]
JUDGING = 128  # images beyond those that are fitted, which the report's own figures come from
CIFAR = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class Task:
    """One network: its target, calibration inputs, labelled inputs to measure on (labels None: agreement), options."""

    model: str
    target: str
    calibration: Read
    held_out: Read
    options: dict[str, Any] = field(default_factory=dict)


def images(name: str, mean: Any, std: Any, first: int, count: int | None, scale: float = 1.0) -> Read:
    """Decode images through the reader that lies beside the data."""

    def read(shared: Path) -> tuple[dict[str, Array], Array]:
        spec = spec_from_file_location("load", shared / "data" / "load.py")
        assert spec is not None and spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        x, y = module.images(name, mean, std, first, count)
        return {"input": x * np.float32(scale)}, y

    return read


def cifar(samples: int = 512, raw: bool = False) -> tuple[Read, Read]:
    """Training images, ``samples`` to fit and ``JUDGING`` more, and 5,000 validation images.

    ``raw`` gives pixels from 0 to 255. Passes fit the first ``samples`` where compress is told so: see :func:`fit`.
    """
    mean, std = ((0.0,) * 3, (1.0,) * 3) if raw else CIFAR
    scale = 255.0 if raw else 1.0
    return (
        images("cifar10_train.npz", mean, std, 0, samples + JUDGING, scale),
        images("cifar10_val.npz", mean, std, 0, 5000, scale),
    )


def fit(samples: int = 512) -> dict[str, Any]:
    """Return the option of compress that goes with :func:`cifar`."""
    return {"samples": samples}


def imagenet() -> tuple[Read, Read]:
    """250 images to calibrate with, of which a fifth is kept apart, and 250 others to measure on."""
    mean, std = (127 / 255,) * 3, (128 / 255,) * 3
    return (
        images("imagenet_sample.npz", mean, std, 0, 250),
        images("imagenet_sample.npz", mean, std, 250, 250),
    )


def noise(name: str, *shape: int) -> tuple[Read, Read]:
    """Seeded random inputs for networks whose data is not at hand: agreement on them says little about real data."""

    def draw(seed: int) -> Read:
        rng = np.random.default_rng(seed)
        return lambda _shared: ({name: rng.standard_normal((512, *shape)).astype(np.float32)}, None)

    return draw(0), draw(1)


RATIOS = {"1.5x": "macs=0.6667x", "2x": "macs=0.5x", "3x": "macs=0.3333x"}


def resnet56() -> dict[str, Task]:
    """ResNet-56 at three ratios, by number of images, with samplers, and with one ratio for all groups."""
    found = {}
    for samples in (512, 2048):
        for ratio, target in RATIOS.items():
            for name, options in (("", {}), ("-sampler", {"sampler": True})):
                found[f"resnet56-{ratio}-{samples}{name}"] = Task(
                    "resnet56_cifar10", target, *cifar(samples), options | fit(samples)
                )
    found["resnet56-2x-512-uniform"] = Task(
        "resnet56_cifar10", RATIOS["2x"], *cifar(), {"allocation": "uniform", **fit()}
    )
    return found


PLAIN = {
    **resnet56(),
    "resnet20-2x": Task("resnet20_cifar10", "macs=0.5x", *cifar(), fit()),
    "resnet8-2x": Task("resnet8_cifar10", "macs=0.5x", *cifar(raw=True), fit()),
    **{f"efficientnet-0.{n}x": Task("efficientnet_lite0", f"macs=0.{n}x", *imagenet()) for n in (9, 8, 7)},
    "dscnn": Task("dscnn_kws", "macs=0.5x", *noise("input_1", 49, 10, 1)),
    "autoencoder": Task("autoencoder_toycar", "macs=0.5x", *noise("input", 640)),
}

RESNET56 = tuple(f"resnet56-{ratio}-512" for ratio in RATIOS)
FORMS = (*RESNET56, "resnet20-2x", "resnet8-2x", "efficientnet-0.9x", "efficientnet-0.8x", "efficientnet-0.7x", "dscnn")
TASKS = PLAIN | {
    f"{name}-forms": replace(PLAIN[name], options={"forms": ["all"], **PLAIN[name].options}) for name in FORMS
}


def outputs(session: OrtSession, feeds: dict[str, Array], batch: int = 125) -> Array:
    """Run all samples in batches; return the first output."""
    count = len(next(iter(feeds.values())))
    parts = [session.run({n: v[i : i + batch] for n, v in feeds.items()}) for i in range(0, count, batch)]
    return np.concatenate([next(iter(part.values())) for part in parts])


def score(name: str, task: Task, shared: Path) -> str:
    """Compress one network and say what came out."""
    original = optimise_onnx.load(shared / "models" / f"{task.model}.onnx")
    start = time.perf_counter()
    options = {"align": 1, "guard": False} | task.options
    result = optimise_onnx.compress(original, target=task.target, data=task.calibration(shared)[0], **options)
    seconds = time.perf_counter() - start
    feeds, labels = task.held_out(shared)
    before = outputs(OrtRunner().session(original), feeds)
    after = outputs(OrtRunner().session(optimise_onnx.load(result.model)), feeds)
    oracle = [r.figures["oracle_error"] for r in result.records if "oracle_error" in r.figures]
    report = result.report
    line = f"{name:24s} {task.target:12s} MACs {report.after.macs / report.before.macs:.4f}x"
    line += f" params {report.after.parameters / report.before.parameters:.3f}x"
    line += f" agreement {(before.argmax(1) == after.argmax(1)).mean() * 100:.2f} %"
    if labels is not None:
        hits = [(y.argmax(1) == labels).mean() * 100 for y in (before, after)]
        line += f" top-1 {hits[0]:.2f} -> {hits[1]:.2f} ({hits[1] - hits[0]:+.2f})"
    else:
        line += f" relative error {((before - after) ** 2).sum() / ((before - before.mean(0)) ** 2).sum():.2e}"
    return f"{line} oracle {max(oracle, default=0.0):.1e} {seconds:.0f} s"


def main() -> None:
    """Run the named tasks, all by default."""
    shared = Path(sys.argv[1])
    for name in sys.argv[2:] or TASKS:
        print(score(name, TASKS[name], shared), flush=True)


if __name__ == "__main__":
    main()
