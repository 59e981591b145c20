"""Hardware as a target: latency at equal multipliers, multipliers at an equal interval, and accuracy; by layer.

    python benchmarks/hls_target.py SHARED [digits|resnet8 ...] [--shares 0.9 0.8 0.7 0.5] [--forms stretch all]
        [--images 2048] [--tune 2560steps]

For each share ``hls-latency=`` is met with channels alone, and with forms; nothing is trained, but for ``--tune``:
then weights are tuned on the same images without labels. Accuracy of the digits network is of its 500 test images, of
ResNet-8 of 5,000 validation images; the first ``--images`` training images calibrate ResNet-8.
The last model within one point of accuracy is shown layer by layer. All hardware figures are tier 1: analytic.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from networks import cifar, outputs

import optimise_onnx
from optimise_onnx.backends.hls.cost.compare import compare, table
from optimise_onnx.backends.hls.lowering import lower
from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.demo import load_samples, paths
from optimise_onnx.ir.errors import TargetNotMetError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.tools.compression import baseline

WITHIN = 1.0
"""Points of accuracy."""


class Network:
    """A trained network with calibration data and labelled samples."""

    def __init__(self, name: str, shared: Path, images: int) -> None:
        if name == "digits":
            samples = load_samples()
            self.graph: Graph = optimise_onnx.load(paths()[0])
            self.data = {"image": samples.calibration}
            self.held_out, self.labels = {"image": samples.test_image}, samples.test_label
        else:
            self.graph = optimise_onnx.load(shared / "models" / f"{name}_cifar10.onnx")
            calibration, held_out = cifar(images, raw=True)
            self.data = calibration(shared)[0]
            self.held_out, self.labels = held_out(shared)
        self.graph = baseline(self.graph, OrtRunner())
        self.before = self.accuracy(self.graph)

    def accuracy(self, graph: Graph) -> float:
        """Return top-1 in percent."""
        found = outputs(OrtRunner().session(graph), self.held_out)
        return float((found.argmax(1) == self.labels).mean() * 100)

    def arm(self, share: float, forms: list[str], **options: Any) -> tuple[Graph, float] | None:
        """Compress to a share of the latency, print a row, and return the model and the points lost."""
        title = forms[0] if forms else "channels"
        try:
            found = optimise_onnx.compress(
                self.graph, target=f"hls-latency={share}x", data=self.data, forms=forms, **options
            )
        except TargetNotMetError as error:
            print(f"| {share} | {title} | {error} |", flush=True)
            return None
        model = optimise_onnx.load(found.model)
        lost, figures = self.before - self.accuracy(model), compare(lower(self.graph), lower(model))
        said = [f"{lost:.2f}", f"{figures.latency_left:.3f}", f"{figures.interval_left:.3f}"]
        said += [f"{figures.multipliers_left:.3f}", f"{found.report.after.macs / found.report.before.macs:.3f}"]
        print(f"| {share} | {title} | {' | '.join(said)} |", flush=True)
        return model, lost


def layers(before: Graph, after: Graph) -> None:
    """Print where the cycles go, layer by layer, each network balanced within the multipliers of the first."""
    networks = lower(before), lower(after)
    figures = compare(*networks)
    print(f"\nbefore: {figures.before.multipliers} multipliers, after within as many\n")
    print("| layer | multipliers before | interval | multipliers after | interval |")
    print("|---|---|---|---|---|")
    for row in table(figures.before, figures.equal_multipliers):
        if any(cost is not None and cost.multipliers for cost in (row.before, row.after)):
            cells = [f"{c.multipliers} | {c.interval}" if c else " | " for c in (row.before, row.after)]
            print(f"| {row.name} | {' | '.join(cells)} |")


def main() -> None:
    """Print a table for each network, and the layers of its last model within a point."""
    parser = argparse.ArgumentParser()
    parser.add_argument("shared", type=Path)
    parser.add_argument("networks", nargs="*", default=["digits", "resnet8"])
    parser.add_argument("--shares", type=float, nargs="+", default=list(np.round(np.arange(0.95, 0.2, -0.1), 2)))
    parser.add_argument("--forms", nargs="*", default=["stretch", "all"])
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--tune", default="", help="how long weights are tuned")
    given = parser.parse_args()
    tuned = {"tune": "full", "tune_budget": given.tune, "augment": ("flip", "crop4")} if given.tune else {}
    for name in given.networks:
        network, best = Network(name, given.shared, given.images), None
        print(f"\n{name}, {network.before:.2f} %:\n")
        print("| target | forms | points lost | latency left | interval left | multipliers left | MACs left |")
        print("|---|---|---|---|---|---|---|")
        for share in given.shares:
            for forms in ([], *([form] for form in given.forms)):
                found = network.arm(float(share), forms, **tuned)
                if found is not None and found[1] <= WITHIN:
                    best = found[0]
        if best is not None:
            layers(network.graph, best)


if __name__ == "__main__":
    main()
