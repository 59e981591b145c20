"""Time the channel analysis on the nine ImageNet architectures inside the onnx package.

    python benchmarks/analysis_speed.py [NAME ...]

Prints the median of five runs, and how much the model and the result hold.
"""

import sys
import time
from pathlib import Path
from statistics import median

import onnx

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.frontends.load import load
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.cleanup.constants import FoldConstants

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
NAMES = sorted(path.stem.removeprefix("light_") for path in FOLDER.glob("light_*.onnx"))
RUNS = 5


def folded(name: str) -> Graph:
    """Load an architecture; as it stands its weights are computed by ConstantOfShape."""
    graph, _ = load(FOLDER / f"light_{name}.onnx")
    FoldConstants().run(graph, Context(OrtRunner(), graph))
    return graph


def seconds(graph: Graph) -> float:
    """Time one analysis."""
    start = time.perf_counter()
    analyse(graph)
    return time.perf_counter() - start


def main() -> None:
    """Time the named architectures, all by default."""
    for name in sys.argv[1:] or NAMES:
        graph = folded(name)
        channels = analyse(graph)
        middle = median(seconds(graph) for _ in range(RUNS))
        print(f"{name:14s} {middle:6.3f} s  {len(graph.nodes):4d} nodes  {len(channels.groups):4d} groups", flush=True)


if __name__ == "__main__":
    main()
