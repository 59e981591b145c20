"""Nine ImageNet architectures with random weights: prune to 60 % of the parameters without data, prove it.

    python benchmarks/light_networks.py [NAME ...]

The architectures are the weightless test models inside the onnx package; weights are drawn at random (He scale,
seeded). What is pinned is listed below each.
"""

import resource
import sys
import time
from pathlib import Path

import numpy as np
import onnx

import optimise_onnx
from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.frontends.load import load
from optimise_onnx.ir.graph import Graph, Node
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.cleanup.constants import FoldConstants

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
NAMES = sorted(path.stem.removeprefix("light_") for path in FOLDER.glob("light_*.onnx"))


def drawn(name: str, seed: int = 0) -> Graph:
    """Load an architecture and draw its weights."""
    graph, _ = load(FOLDER / f"light_{name}.onnx")
    FoldConstants().run(graph, Context(OrtRunner(), graph))
    rng = np.random.default_rng(seed)
    for tensor in list(graph.constants()):
        array = tensor.array
        if array.dtype.kind == "f" and array.size > 1:
            graph.set_array(tensor, draw(rng, tensor.consumers[0], array.shape).astype(array.dtype))
    return graph


def draw(rng: np.random.Generator, reader: Node, shape: tuple[int, ...]) -> np.ndarray:
    """He-scaled weights, positive scales and variances, small shifts."""
    if len(shape) >= 2 and reader.op in ("Conv", "Gemm", "MatMul"):
        return rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    if reader.op in ("BatchNormalization", "Mul"):
        return rng.uniform(0.5, 1.5, shape)
    return rng.standard_normal(shape) * 0.1


def main() -> None:
    """Run the named architectures, all by default."""
    for name in sys.argv[1:] or NAMES:
        graph = drawn(name)
        start = time.perf_counter()
        channels = analyse(graph)
        seconds = time.perf_counter() - start
        result = optimise_onnx.compress(graph, target="params=0.6x", align=1, guard=False)
        report, total = result.report, time.perf_counter() - start
        oracle = max((r.figures["oracle_error"] for r in result.records if "oracle_error" in r.figures), default=np.nan)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        left = report.after.parameters / report.before.parameters
        line = f"{name:14s} params {left:.4f}x of {report.before.parameters:,}"
        line += f" MACs {report.after.macs / report.before.macs:.3f}x oracle {oracle:.1e} groups {len(channels.groups)}"
        print(f"{line} analysis {seconds:.2f} s all {total:.0f} s peak {peak:.2f} GiB", flush=True)
        for tensor, pin in dict(channels.pins).items():
            print(f"    pinned {tensor}: {pin.op} '{pin.node}': {pin.why}")


if __name__ == "__main__":
    main()
