"""What to take from a network for the fewest LUTs: channels, kernels, or taps, at equal accuracy.

    PYTHONPATH=. python benchmarks/hls_kernels.py [--jobs 2] [--targets params=0.2x,params=0.1x] [ARM ...]

On the shipped digits network: 8 bits for weights and activations, accuracy on its 500 test images by the emulator, LUTs
in distributed arithmetic by da4ml, every product unrolled. Unrolled, a weight costs the same wherever it stands, so
targets are shares of the parameters unless others are given. An arm meets them by *channels* alone, by forms of kernels
alone, all channels kept, or by both: *kernels* zeroes whole ones, *taps* keeps regular ones, *k x 1 and 1 x k* writes
each kernel as two. An arm has no row for a target out of its reach.
"""

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context

import numpy as np
from hls_common import Case, digits, head, row, through

from optimise_onnx.backends.hls.adder_graphs import estimate
from optimise_onnx.backends.hls.calibrate import calibrated
from optimise_onnx.backends.hls.cost.report import cost
from optimise_onnx.backends.hls.emulator import Emulator
from optimise_onnx.backends.hls.network import Network
from optimise_onnx.backends.hls.precision import Precision
from optimise_onnx.demo import load_samples
from optimise_onnx.ir.errors import TargetNotMetError
from optimise_onnx.passes.decompose.families import FAMILIES
from optimise_onnx.passes.decompose.grouped import GroupedKernels

FIRST = "fold-constants,fold-batch-norm,fold-padding,remove-dead-channels,merge-duplicate-channels"
KEPT = "{keep_nodes=.*}"
ARMS = {
    "channels": ("", ""),
    "kernels": (KEPT, "grouped"),
    "taps": (KEPT, "strided"),
    "k x 1 and 1 x k": (KEPT, "stretch"),
    "all forms": (KEPT, "grouped;strided;stretch"),
    "channels and kernels": ("", "grouped"),
    "channels, k x 1 and 1 x k": ("", "stretch"),
    "channels and all forms": ("", "grouped;strided;stretch"),
}
LEVELS = (99.0, 98.0, 97.0, 95.0, 90.0)
ORIGINAL = "original"
TARGETS = ("params=0.04x", "params=0.07x", "params=0.1x", "params=0.15x", "params=0.2x")


@dataclass(frozen=True)
class Point:
    """A network: accuracy in %, products that are not with 0, LUTs of the products, bits of the line buffers."""

    arm: str
    target: str
    accuracy: float
    nonzeros: int
    lut: int
    line_buffers: int


def pipeline(arm: str, target: str) -> str:
    """Write an arm's passes."""
    if arm == ORIGINAL:
        return FIRST
    kept, forms = ARMS[arm]
    offer, write = (f"offer-forms{{forms={forms}}},", "decompose,") if forms else ("", "")
    allocate = f"allocate{{target={target}}}"
    return f"{FIRST},select-channels{kept},{offer}{allocate},remove-channels,{write}reconstruct"


def measured(asked: tuple[str, str]) -> Point | None:
    """Compress, and say what came out; None where the target is out of reach."""
    FAMILIES["grouped"] = GroupedKernels(multiple=1)  # multiples of 16 are for processors
    try:
        given = through(digits(), pipeline(*asked))
    except TargetNotMetError:
        return None
    network, precision = calibrated(given.network, given.fed(given.calibration), 8, 8)
    accuracy = right(given, network, precision)
    counted = cost(network, {}, precision)
    lut = sum(each.lut or 0 for each in estimate(network, precision).values())
    return Point(*asked, accuracy, counted.nonzeros, lut, counted.line_buffer_bits)


def right(given: Case, network: Network, precision: Precision) -> float:
    """Return the percentage of the digits network's test images that the emulator gets right."""
    scores = given.rows(Emulator(network, precision).run(given.fed(given.held_out)))
    return float((scores.argmax(1) == load_samples().test_label).mean() * 100)


def crossings(points: Sequence[Point], level: float) -> Iterator[str]:
    """Return LUTs and line-buffer bits at an accuracy, between the points around it (geometrically)."""
    ordered = sorted(points, key=lambda point: point.lut)
    accuracy = np.maximum.accumulate([point.accuracy for point in ordered])
    for values in ([point.lut for point in ordered], [point.line_buffers for point in ordered]):
        if not accuracy[0] <= level <= accuracy[-1]:
            yield "-"
            continue
        after = int(np.argmax(accuracy >= level))
        before = max(after - 1, 0)
        gap = accuracy[after] - accuracy[before]
        part = (level - accuracy[before]) / gap if gap else 1.0
        yield f"{values[before] ** (1 - part) * values[after] ** part:,.0f}"


def main() -> None:
    """Measure the named arms, all by default; then put them side by side."""
    parser = argparse.ArgumentParser()
    parser.add_argument("arms", nargs="*", default=[*ARMS])
    parser.add_argument("--targets", default=",".join(TARGETS))
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    asked = [*product(given.arms, given.targets.split(",")), (ORIGINAL, "none")]
    points: list[Point] = []
    head("arm", "target", "accuracy, %", "nonzero weights", "LUTs estimated", "line-buffer bits")
    with ProcessPoolExecutor(given.jobs, get_context("spawn")) as pool:
        for point in filter(None, pool.map(measured, asked)):
            points.append(point)
            cells = (f"{point.accuracy:.1f}", f"{point.nonzeros:,}", f"{point.lut:,}", f"{point.line_buffers:,}")
            row((point.arm, point.target, *cells))
    print()
    head("LUTs; line-buffer bits at", *(f"{level:g} %" for level in LEVELS))
    for arm in given.arms:
        mine = [point for point in points if point.arm == arm]
        row((arm, *("; ".join(crossings(mine, level)) for level in LEVELS)))


if __name__ == "__main__":
    main()
