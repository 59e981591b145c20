"""Every recipe on one network at one target, beside each other: the table of docs/results.md.

    python benchmarks/recipes.py SHARED [MODEL TARGET]

MODEL is one of the CIFAR networks of ``networks.py``, resnet20_cifar10 by default; 512 training images without labels
calibrate, 5,000 validation images are only measured on. SHARED is as in ``networks.py``.
"""

import sys
import time
from pathlib import Path

from networks import cifar, fit, outputs

import optimise_onnx
from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.tools.recipes import RECIPES


def main() -> None:
    """Print a row for every recipe."""
    shared = Path(sys.argv[1])
    model, target = sys.argv[2:4] if len(sys.argv) > 3 else ("resnet20_cifar10", "macs=0.5x")
    original = optimise_onnx.load(shared / "models" / f"{model}.onnx")
    calibration, held_out = (read(shared) for read in cifar())
    feeds, labels = held_out
    assert labels is not None
    before = (outputs(OrtRunner().session(original), feeds).argmax(1) == labels).mean() * 100
    print("| recipe | MACs | parameters | top-1 | points lost | CPU seconds |\n|---|---|---|---|---|---|")
    for name in RECIPES:
        start = time.process_time()
        found = optimise_onnx.compress(
            original,
            target=target,
            data=calibration[0],
            recipe=name,
            tune="none",
            align=1,
            guard=False,
            allow_partial=True,
            **fit(),
        )
        spent = time.process_time() - start
        after = (outputs(OrtRunner().session(optimise_onnx.load(found.model)), feeds).argmax(1) == labels).mean() * 100
        costs = found.report
        shares = [costs.after.macs / costs.before.macs, costs.after.parameters / costs.before.parameters]
        print(
            f"| `{name}` | {shares[0]:.3f}x | {shares[1]:.3f}x | {after:.2f} % | {before - after:.2f} | {spent:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
