"""Gradients of networks by all their weights, beside PyTorch's, and what they cost beside a forward pass.

    python benchmarks/gradients.py SHARED [NAME ...] [--batch N] [--rounds N]

SHARED is as in ``networks.py``, NAME one of the files of ``models`` without its ending. Times are CPU times of one
thread, median ratios of rounds in which all take turns. PyTorch (errors, in float64) and onnxsim 0.8.1 (its training
step: forward, backward and an update by momentum, run in the same session options) are shown where they are
installed. The loss is the squared distance to random targets.
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import optimise_onnx
from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.adjoint.program import Program
from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.shapes import Shape, concrete, input_sizes
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.manager import PassManager

Array = np.ndarray[Any, np.dtype[Any]]
Feeds = dict[str, Array]
RUNNER = OrtRunner(1)
NETWORKS = ("resnet20_cifar10", "resnet56_cifar10", "efficientnet_lite0", "dscnn_kws")
FOLDS = "fold-constants,fold-batch-norm,fold-padding"
LAYERS = {"Conv", "Gemm", "MatMul", "Add"}


@dataclass(frozen=True)
class Setting:
    """A folded network at one size of batch: its weights, those that it dequantises, inputs and a target."""

    graph: Graph
    sizes: dict[str, Shape]
    shapes: dict[str, Shape]
    weights: list[str]
    inner: list[str]
    feeds: Feeds
    target: Array

    @staticmethod
    def read(path: Path, batch: int) -> "Setting":
        """Load a network and fold what can be folded."""
        graph = optimise_onnx.load(path)
        PassManager.parse(FOLDS).run(graph, Context(RUNNER, graph.copy()))
        sizes = input_sizes(graph, batch)
        shapes, rng = concrete(graph, sizes), np.random.default_rng(0)
        feeds = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in sizes.items()}
        target = rng.standard_normal(shapes[graph.outputs[0].name]).astype(np.float32)
        weights = [t.name for t in graph.constants() if _is_weight(t)]
        inner = [n.outputs[0].name for n in graph.nodes if n.op == "DequantizeLinear" and n.inputs[0].is_constant]
        return Setting(graph, sizes, shapes, weights, inner, feeds, target)

    def values(self) -> Feeds:
        """Return the weights."""
        return {t.name: t.array for t in self.graph.constants() if t.name in self.weights}

    def program(self, weights: list[str]) -> tuple[Program, str, str]:
        """Return a program with a loss, and the name of the loss and of its slope at the output."""
        program, out = Program(self.graph, self.shapes, weights), self.graph.outputs[0].name
        apart = program.sheet.add("Sub", out, program.input("target", self.target.shape))
        loss = program.sheet.sum(program.sheet.add("Mul", apart, apart), range(self.target.ndim))
        return program, loss, program.sheet.add("Mul", apart, program.sheet.constant(2.0))


def _is_weight(tensor: Any) -> bool:
    return tensor.dtype == np.float32 and tensor.array.size > 1 and any(n.op in LAYERS for n in tensor.consumers)


def backward(setting: Setting, shown: Sequence[str] = ()) -> tuple[Callable[[], Mapping[str, Array]], list[str]]:
    """Return one forward and backward as a call, and what it gives the gradients by; it gives ``shown`` tensors too."""
    program, loss, slope = setting.program(setting.weights)
    wanted = [*setting.weights, *setting.inner]
    found = program.backward({setting.graph.outputs[0].name: slope}, wanted)
    outputs = {"loss": loss} | {f"by {name}": found[name] for name in wanted} | {name: name for name in shown}
    session = RUNNER.session(program.graph(outputs))
    feeds = {**setting.feeds, **setting.values(), "target": setting.target}
    return lambda: session.run(feeds), wanted


def forwards(setting: Setting) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return the forward with weights stored, and with weights as inputs."""
    out = {"y": setting.graph.outputs[0].name}
    program = Program(setting.graph, setting.shapes, setting.weights)
    stored, given = RUNNER.session(setting.graph), RUNNER.session(program.graph(out))
    feeds = {**setting.feeds, **setting.values()}
    return lambda: stored.run(setting.feeds), lambda: given.run(feeds)


def peer(setting: Setting) -> Callable[[], object] | None:
    """Return a training step of onnxsim as a call, None where it is missing or has no rule for the network."""
    if find_spec("onnxsim") is None:
        return None
    import onnxsim

    program, loss, _ = setting.program([])
    model = program.graph({"loss": loss}).to_model()
    for value in model.graph.input:
        _set_shape(value, {**setting.sizes, "target": setting.target.shape}[value.name])
    try:
        loop = onnxsim.compile_training_loop(model, "loss", setting.weights, optimizer="sgd_momentum")
        session = RUNNER.session(Graph.of(loop.step_graph.model))
    except Exception as error:  # whatever a library of other people meets in this network
        print(f"    onnxsim: {str(error).splitlines()[0]}")
        return None
    rate = {"lr": np.asarray(1e-3, np.float32)}
    feeds = {**setting.feeds, **loop.initial_state, **rate, "target": setting.target}
    return lambda: session.run(feeds)


def _set_shape(value: onnx.ValueInfoProto, shape: Shape) -> None:
    del value.type.tensor_type.shape.dim[:]
    for size in shape:
        value.type.tensor_type.shape.dim.add().dim_value = size


def times(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median CPU time of each call over rounds, in seconds; all take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            start = time.thread_time()
            call()
            if turn:  # the first warms up
                seconds[name].append(time.thread_time() - start)
    return {name: float(np.median(taken)) for name, taken in seconds.items()}


def errors(setting: Setting) -> list[str]:
    """Say how far gradients are from PyTorch's, each over its length: plainly, and on the same side of every kink."""
    if find_spec("torch") is None:
        return ["PyTorch is not installed"]
    import torch_graphs

    kinks = [node.outputs[0].name for node in setting.graph.nodes if node.op in ("Relu", "Clip")]
    run, wanted = backward(setting, kinks)
    found, lines = run(), []
    for sides in ({}, {name: found[name] for name in kinks}):
        exact, turned = torch_graphs.gradients(setting.graph, setting.feeds, setting.target, wanted, sides)
        off = [np.linalg.norm(found[f"by {n}"] - exact[n]) / np.linalg.norm(exact[n]) for n in wanted]
        said = f"{max(off):.1e} at most, {np.median(off):.1e} in the median, of {len(off)} weights"
        lines.append(f"relative error: {said}" + (f"; {turned} units turned to their side" if sides else ""))
    return lines


def report(path: Path, batch: int, rounds: int) -> None:
    """Print the figures of one network."""
    setting = Setting.read(path, batch)
    both, _ = backward(setting)
    print(f"{path.stem}, {batch} samples", flush=True)
    print(*(f"    {line}" for line in errors(setting)), sep="\n", flush=True)
    stored, given = forwards(setting)
    calls = {"forward, weights stored": stored, "forward, weights as inputs": given, "forward and backward": both}
    other = peer(setting)
    taken = times(calls if other is None else {**calls, "onnxsim's step": other}, rounds)
    for name, seconds in taken.items():
        print(f"    {name}: {seconds / taken['forward, weights stored']:.2f}x")
    print(f"    over the forward with weights as inputs: {taken['forward and backward'] / taken[list(taken)[1]]:.2f}x")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("shared", type=Path)
    parser.add_argument("names", nargs="*", default=NETWORKS)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    for name in given.names:
        report(given.shared / "models" / f"{name}.onnx", given.batch, given.rounds)


if __name__ == "__main__":
    main()
