"""Hardware measured: Verilog run in Verilator and mapped by Yosys, against the estimates made without it.

    PYTHONPATH=. python benchmarks/hls_rtl.py [--jobs 2] [networks variants full NAME ...]

Needs da4ml, Verilator and Yosys; 8 bits for weights and activations, every product unrolled, twelve images back to
back. *networks*: a pruned digits network and a residual one with random weights; *variants*: twelve networks made of a
small digits network by passes, for the ranks; *full*: the shipped digits network, simulated and not mapped.
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from math import ceil
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hls_common import Case, digits, drawn, head, row, through
from scipy.stats import spearmanr

import optimise_onnx
from optimise_onnx.backends.hls.adder_graphs import STAGE_ADDERS, KernelCost, estimate
from optimise_onnx.backends.hls.calibrate import calibrated
from optimise_onnx.backends.hls.cost.report import cost
from optimise_onnx.backends.hls.emulator import Emulator
from optimise_onnx.backends.hls.network import Activation, Dense, Floats, Input, Network
from optimise_onnx.backends.hls.precision import Precision
from optimise_onnx.backends.hls.rtl.design import build
from optimise_onnx.backends.hls.rtl.measure import measure
from optimise_onnx.backends.hls.rtl.simulate import simulate
from optimise_onnx.demo import load_samples, paths
from tests.zoo.builder import Builder

BITS, IMAGES, LIMIT = 8, 12, 7200.0
FULL = "digits"
COLUMNS = (
    "network", "multipliers", "interval", "RTL", "latency", "with registers", "RTL", "LUTs estimated",
    "Yosys", "off, %", "FFs", "seconds"
)  # fmt: skip
SMALLEST = 0.03
CLEAN = "fold-constants,fold-batch-norm"
CHANNELS = "select-channels{{keep={}}},remove-channels,reconstruct"
FORMS = "decompose{{forms={},share={}}}"
VARIANTS = {
    "all channels": CLEAN,
    "channels 75 %": CHANNELS.format(0.75),
    "channels 50 %": CHANNELS.format(0.5),
    "channels 25 %": CHANNELS.format(0.25),
    "half the kernels zero": FORMS.format("grouped", 0.5),
    "three quarters of the kernels zero": FORMS.format("grouped", 0.25),
    "strided taps, 0.6": FORMS.format("strided", 0.6),
    "strided taps, 0.3": FORMS.format("strided", 0.3),
    "k x 1 then 1 x k, 0.75": FORMS.format("stretch", 0.75),
    "k x 1 then 1 x k, 0.4": FORMS.format("stretch", 0.4),
    "channels 75 %, then k x 1 and 1 x k, 0.6": CHANNELS.format(0.75) + "," + FORMS.format("stretch", 0.6),
    "channels 50 %, then strided taps, 0.5": CHANNELS.format(0.5) + "," + FORMS.format("strided", 0.5),
}


@dataclass(frozen=True)
class Found:
    """One network: ``multipliers``, ``interval`` and ``latency`` as counted, ``registered``: that and registers
    in adder graphs, ``estimated`` LUTs; measured, ``clocks`` (interval, latency) and ``cells`` (LUTs, flip-flops).
    """

    name: str
    multipliers: int
    interval: int
    latency: int
    registered: int
    estimated: int
    clocks: tuple[int, int]
    cells: tuple[int, int] | None
    seconds: float

    def cells_of_row(self) -> list[object]:
        """Return what the table shows."""
        lut, ff = (f"{count:,}" for count in self.cells) if self.cells else ("-", "-")
        near = f"{100 * (self.estimated / self.cells[0] - 1):+.1f}" if self.cells else "-"
        cycles = (self.interval, self.clocks[0], self.latency, self.registered, self.clocks[1])
        return [
            self.name,
            f"{self.multipliers:,}",
            *cycles,
            f"{self.estimated:,}",
            lut,
            near,
            ff,
            f"{self.seconds:.0f}",
        ]


@cache
def pruned(share: float) -> Case:
    """The digits network with a share of its MACs, the same share of every layer's channels."""
    target, data = f"macs={share}x", {"image": load_samples().calibration}
    return digits(optimise_onnx.compress(paths()[0], target=target, data=data, allocation="uniform", align=1).model)


def residual() -> Case:
    """An identity and a projection shortcut on 12 x 12 pixels."""
    b = Builder("residual")
    h = b.conv_relu(b.input("x", ["N", 3, 12, 12]), 6)
    h = b.relu(b.add(b.conv(b.conv_relu(h, 6), 6), h))
    h = b.relu(b.add(b.conv(b.conv_relu(h, 10, stride=2), 10), b.conv(h, 10, k=1, stride=2)))
    return drawn(b.model(b.head(h)))


NETWORKS: dict[str, Callable[[], Case]] = {
    "digits, 0.05x MACs": partial(pruned, 0.05),
    "residual, random": residual,
}


def registers(network: Network, kernels: Mapping[str, KernelCost]) -> int:
    """Count the registers that counting loops leaves out: those of adder graphs, and of links before windows."""
    behind: dict[str, int] = {}
    for layer in network.layers:
        own = int(not isinstance(layer, Activation | Dense | Input))
        if layer.name in kernels:
            own += max(1, ceil((kernels[layer.name].depth or 0) / STAGE_ADDERS))
        behind[layer.name] = own + max((behind[name] for name in layer.inputs), default=0)
    return max(behind[name] for name in network.outputs)


def simulated(
    network: Network, precision: Precision, feeds: dict[str, Floats], wanted: dict[str, Floats]
) -> tuple[int, int]:
    """Run a network in Verilator without mapping it, its links as deep as they may need to be."""
    with TemporaryDirectory() as folder:
        run = simulate(build(network, precision, Path(folder)), feeds, limit=LIMIT)
    for name, values in wanted.items():
        assert np.array_equal(run.outputs[name], values), name
    return run.interval, run.latency


def found(name: str) -> Found:
    """Count, estimate and measure one network; raises VerificationError where a word differs from the emulator's."""
    start = time.perf_counter()
    if name in VARIANTS:
        given = through(pruned(SMALLEST), VARIANTS[name])
    else:
        given = digits() if name == FULL else NETWORKS[name]()
    network, precision = calibrated(given.network, given.fed(given.calibration), BITS, BITS)
    counted = cost(network, {}, precision)
    kernels = estimate(network, precision)
    estimated = sum(each.lut or 0 for each in kernels.values())
    source = network.layers[0].name
    images = precision[source].result.cast(given.fed(given.held_out[:IMAGES]))
    wanted = Emulator(network, precision).run(images)
    if name == FULL:
        clocks, cells = simulated(network, precision, {source: images}, wanted), None
    else:
        measured = measure(network, precision, {source: images}, wanted, limit=LIMIT)
        assert measured.area is not None
        clocks, cells = (measured.interval, measured.latency), (measured.area.total.lut, measured.area.total.ff)
    registered = counted.latency + registers(network, kernels)
    counts = (counted.multipliers, counted.interval, counted.latency, registered)
    return Found(name, *counts, estimated, clocks, cells, time.perf_counter() - start)


def ranks(rows: Sequence[Found]) -> None:
    """Print how alike the figures without and with hardware rank the networks."""
    mapped = [each for each in rows if each.cells]
    lut = [each.cells[0] for each in mapped if each.cells]
    pairs = {
        "multipliers with LUTs": ([each.multipliers for each in mapped], lut),
        "estimated LUTs with LUTs": ([each.estimated for each in mapped], lut),
        "interval counted with measured": ([e.interval for e in rows], [e.clocks[0] for e in rows]),
        "latency counted with measured": ([e.latency for e in rows], [e.clocks[1] for e in rows]),
        "latency with registers with measured": ([e.registered for e in rows], [e.clocks[1] for e in rows]),
    }
    for name, (one, other) in pairs.items():
        print(f"rank correlation of {name}: {spearmanr(one, other).statistic:.4f}", flush=True)


def main() -> None:
    """Measure what is named, all but the full network by default."""
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", default=["networks", "variants"])
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    sets: dict[str, Sequence[str]] = {"networks": tuple(NETWORKS), "variants": tuple(VARIANTS), "full": (FULL,)}
    for each in given.names:
        head(*COLUMNS)
        rows = []
        with ProcessPoolExecutor(given.jobs, get_context("spawn")) as pool:
            for one in pool.map(found, sets.get(each, (each,))):
                rows.append(one)
                row(one.cells_of_row())
        if len(rows) > 2:
            ranks(rows)


if __name__ == "__main__":
    main()
