"""Kernels as k x 1 and 1 x k, beside and instead of fewer channels, at the latency that their paper reports.

    PYTHONPATH=. python benchmarks/hls_stretch.py [--jobs 2] [--share 0.58] [--from 0.1]

On the shipped digits network, cut to a tenth of its parameters by channels, for the adder graphs of all of it take ten
minutes; nothing trained. Each arm aims at ``hls-latency`` of a share of that, 0.58 as in the paper (42 % less). One row
an arm: latency at equal multipliers, by tier 1; at an equal interval, every product unrolled at 8 bits, LUTs by tier 2;
accuracy by the emulator at 8 bits on the 500 test images, which chose nothing.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

from hls_common import digits, head, row, through
from hls_kernels import ARMS, ORIGINAL, pipeline, right

from optimise_onnx.backends.hls.adder_graphs import estimate
from optimise_onnx.backends.hls.calibrate import calibrated
from optimise_onnx.backends.hls.cost.compare import compare
from optimise_onnx.backends.hls.cost.report import cost
from optimise_onnx.ir.errors import TargetNotMetError

CHOSEN = ("channels", "k x 1 and 1 x k", "channels, k x 1 and 1 x k")


@dataclass(frozen=True)
class Found:
    """``latency_left`` at equal multipliers (tier 1); ``interval`` and ``lut`` (tier 2) unrolled; ``accuracy`` in %."""

    arm: str
    latency_left: float
    interval: int
    lut: int
    accuracy: float


def measured(arm: str, share: float, start: float) -> Found | None:
    """Compress by one arm, and say what came out; None where the target is out of its reach."""
    whole = through(digits(), pipeline("channels", f"params={start}x"))
    try:
        given = through(whole, pipeline(arm, f"hls-latency={share}x"))
    except TargetNotMetError:
        return None
    left = compare(whole.network, given.network).latency_left
    network, precision = calibrated(given.network, given.fed(given.calibration), 8, 8)
    lut = sum(each.lut or 0 for each in estimate(network, precision).values())
    return Found(arm, left, cost(network, {}, precision).interval, lut, right(given, network, precision))


def main() -> None:
    """Print a row for each arm, the original first."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--share", type=float, default=0.58)
    parser.add_argument("--from", type=float, default=0.1, dest="start")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    assert set(CHOSEN) <= set(ARMS)
    head("arm", "latency left", "interval, unrolled", "LUTs estimated", "LUTs left", "accuracy, %")
    one = partial(measured, share=given.share, start=given.start)
    with ProcessPoolExecutor(given.jobs, get_context("spawn")) as pool:
        whole = 0
        for arm, each in zip((ORIGINAL, *CHOSEN), pool.map(one, (ORIGINAL, *CHOSEN)), strict=True):
            if each is None:
                row((arm, "out of reach", *[""] * 4))
                continue
            whole = whole or each.lut
            share = f"{each.lut / whole:.3f}"
            row((arm, f"{each.latency_left:.3f}", each.interval, f"{each.lut:,}", share, f"{each.accuracy:.1f}"))


if __name__ == "__main__":
    main()
