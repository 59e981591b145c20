"""Whether reports tell the truth: the agreement that a report claims against that on many samples it never saw.

    python benchmarks/claims.py SHARED

30 compressions: the CIFAR networks at three targets, with 2 to 256 training images without labels; each claim, with the
interval that the report gives, is held against the agreement on 2,000 validation images. SHARED is as in
``networks.py``.
"""

import sys
from pathlib import Path

from networks import cifar, outputs

import optimise_onnx
from optimise_onnx.backends.ort import OrtRunner

_UNSEEN = 2000
_COUNTS = (2, 8, 24, 64, 256)
_TARGETS = ("macs=0.8x", "macs=0.6x", "macs=0.4x")
_MODELS = {"resnet8_cifar10": True, "resnet20_cifar10": False}  # whether pixels from 0 to 255 are read


def main() -> None:
    """Print a row for every compression, and how many claims hold."""
    shared = Path(sys.argv[1])
    kept = rows = 0
    print(
        "| network | target | samples | claimed | interval | on 2,000 others | holds |\n|---|---|---|---|---|---|---|"
    )
    for model, raw in _MODELS.items():
        original = optimise_onnx.load(shared / "models" / f"{model}.onnx")
        name = original.inputs[0].name
        drawn, held_out = (next(iter(read(shared)[0].values())) for read in cifar(max(_COUNTS), raw))
        if original.inputs[0].shape[-1] == 3:
            drawn, held_out = (images.transpose(0, 2, 3, 1).copy() for images in (drawn, held_out))
        unseen = {name: held_out[:_UNSEEN]}
        wanted = outputs(OrtRunner().session(original), unseen).argmax(1)
        for target in _TARGETS:
            for count in _COUNTS:
                data = {name: drawn[:count]}
                found = optimise_onnx.compress(original, target=target, data=data, align=1, guard=False)
                (claim,) = found.report.fidelity.outputs.values()
                truth = (
                    outputs(OrtRunner().session(optimise_onnx.load(found.model)), unseen).argmax(1) == wanted
                ).mean()
                low, high = claim.interval or (0.0, 1.0)
                holds = low <= truth <= high
                kept, rows = kept + holds, rows + 1
                said = f"{claim.same:.3f} | {low:.3f} to {high:.3f} | {truth:.3f} | {'yes' if holds else 'no'} |"
                print(f"| {model} | {target} | {count} | {said}", flush=True)
    print(f"\n{kept} of {rows} claims hold")


if __name__ == "__main__":
    main()
