"""What the benchmarks of the hardware backend share: lowered networks, their samples, and how alike scores are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from networks import outputs

import optimise_onnx
from optimise_onnx.backends.hls.lowering import lower
from optimise_onnx.backends.hls.network import Floats, Input, Network
from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.demo import load_samples, paths
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.cleanup.constants import FoldConstants
from optimise_onnx.passes.manager import PassManager
from optimise_onnx.tools.api import run_pipeline
from tests.zoo import feeds

Array = np.ndarray[Any, np.dtype[Any]]
Source = Path | onnx.ModelProto | Graph


@dataclass(frozen=True)
class Case:
    """A network in both shapes, samples to calibrate with and others to measure on, in the layout of the model."""

    graph: Graph
    network: Network
    calibration: Array
    held_out: Array

    def fed(self, samples: Array) -> Floats:
        """Bring samples into the layout of the hardware."""
        source = self.network.layers[0]
        assert isinstance(source, Input) and source.port is not None
        return source.port.to_layer(samples)

    def onnxruntime(self, samples: Array) -> Array:
        """Run the model itself; return the first output as rows."""
        name = next(tensor.name for tensor in self.graph.inputs if tensor.consumers)
        batch = 1 if next(t for t in self.graph.inputs if t.name == name).shape[0] == 1 else 125
        found = outputs(OrtRunner(1).session(self.graph), {name: samples}, batch)
        return found.reshape(len(samples), -1)

    def rows(self, values: dict[str, Floats]) -> Floats:
        """Bring the first output of the hardware into the layout of the model, as rows."""
        found = self.network.ports[0].to_tensor(values[self.network.outputs[0]])
        return found.reshape(len(found), -1)


def case(source: Source, calibration: Array, held_out: Array) -> Case:
    """Load, fold and lower a model."""
    graph = optimise_onnx.load(source).copy()
    FoldConstants().run(graph, Context(OrtRunner(1), graph.copy()))
    return Case(graph, lower(graph), calibration, held_out)


def digits(source: Source | None = None) -> Case:
    """The shipped network, or one made of it, with its own images."""
    samples = load_samples()
    return case(source or paths()[0], samples.calibration, samples.test_image)


def drawn(model: onnx.ModelProto) -> Case:
    """A model with random weights, and noise."""
    (samples,) = feeds(model, 0, 328).values()
    return case(model, samples[:128], samples[128:])


def through(before: Case, pipeline: str) -> Case:
    """Run passes, written as on the command line, on a copy of a network."""
    (name,) = (tensor.name for tensor in before.graph.inputs)
    found = run_pipeline(before.graph, PassManager.parse(pipeline), {name: before.calibration})
    return case(found.graph, before.calibration, before.held_out)


def agreement(one: Array, other: Array) -> float:
    """Return the percentage of samples whose largest score stands at the same place."""
    return float((one.argmax(1) == other.argmax(1)).mean() * 100)


def row(cells: Sequence[object]) -> None:
    """Print a row of a table at once."""
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def head(*names: str) -> None:
    """Print the head of a table."""
    row(names)
    row(["---"] * len(names))
