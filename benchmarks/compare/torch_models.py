"""ONNX models as PyTorch modules and back, for tools that prune those.

Given the best chance: simplified first, weights of Constant nodes stored, constants that the converter leaves as
tensors written as plain Python (which tracers follow), the batch left open.
"""

import copy
import io
import operator
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx2torch import convert
from onnxsim import simplify
from torch import fx, nn

Array = np.ndarray[Any, np.dtype[Any]]
LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


def converted(path: Path, samples: Mapping[str, Array]) -> fx.GraphModule:
    """Read a model; ``samples`` (n, ...) by input, of which two are run to learn shapes."""
    simple, _ = simplify(onnx.load(path))
    _stored(simple.graph)
    module = convert(simple).eval()
    order = [value.name for value in simple.graph.input if value.name in samples]
    module.source, module.inputs = str(path), order
    module.outputs = [value.name for value in simple.graph.output]
    _written_out(module, [torch.from_numpy(samples[name][:2]) for name in order])
    return module


def _stored(graph: onnx.GraphProto) -> None:
    """Make initializers of Constant nodes: the converter looks for weights there."""
    for node in [node for node in graph.node if node.op_type == "Constant"]:
        for value in (each.t for each in node.attribute if each.name == "value"):
            graph.initializer.add().CopyFrom(value)
            graph.initializer[-1].name = node.output[0]
            graph.node.remove(node)


def copied(module: fx.GraphModule) -> fx.GraphModule:
    """Copy a module with the names of its inputs and outputs."""
    found = copy.deepcopy(module)
    found.source, found.inputs, found.outputs = module.source, module.inputs, module.outputs
    return found


def exported(module: fx.GraphModule, samples: Mapping[str, Array]) -> onnx.ModelProto:
    """Write a module as ONNX, with the names and the open batch of the original."""
    called, file = _Called(module), io.BytesIO()
    first = tuple(torch.from_numpy(samples[name][:1]) for name in module.inputs)
    names = [*module.inputs, *module.outputs]
    torch.onnx.export(
        called, first, file, dynamo=False, opset_version=17, input_names=module.inputs, output_names=module.outputs,
        dynamic_axes={name: {0: "N"} for name in names}, training=torch.onnx.TrainingMode.EVAL,
    )  # fmt: skip
    return onnx.load_from_string(file.getvalue())


class _Called(nn.Module):
    """The exporter takes what has an attribute ``graph`` for something else."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.inner = module

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.inner(*inputs)


def batches(module: fx.GraphModule, samples: Mapping[str, Array], size: int = 64) -> Iterator[list[torch.Tensor]]:
    """Give the inputs in order, some samples at a time."""
    count = len(next(iter(samples.values())))
    for begin in range(0, count, size):
        yield [torch.from_numpy(samples[name][begin : begin + size]) for name in module.inputs]


def layer(module: nn.Module, node: fx.Node) -> nn.Module | None:
    """Return the convolution or product that a node calls, through a wrapper of it; None for all else."""
    if node.op != "call_module":
        return None
    inside = [each for each in module.get_submodule(str(node.target)).modules() if isinstance(each, LAYERS)]
    return inside[0] if len(inside) == 1 else None


def last_layers(module: fx.GraphModule) -> list[nn.Module]:
    """Return the layers that make the outputs: their width is not for pruning."""
    found, seen = [], set()
    waiting = [node for node in module.graph.nodes if node.op == "output"]
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        here = layer(module, node)
        if here is None:
            waiting += node.all_input_nodes
        else:
            found.append(here)
    return found


class _Seen(fx.Interpreter):
    """Values of all nodes of one run."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.values: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        self.values[n] = super().run_node(n)
        return self.values[n]


def _written_out(module: fx.GraphModule, inputs: Sequence[torch.Tensor]) -> None:
    seen = _Seen(module)
    with torch.no_grad():
        seen.run(*inputs)
    for node in list(module.graph.nodes):
        plain = _plain(module, node, seen.values)
        if plain is not None:
            with module.graph.inserting_before(node):
                node.replace_all_uses_with(module.graph.call_function(*plain))
    module.graph.eliminate_dead_code()
    module.recompile()


def _plain(module: fx.GraphModule, node: fx.Node, values: Mapping[fx.Node, Any]) -> Any:
    """Return function and arguments that do what a module of the converter does with constants, or None."""
    if node.op != "call_module":
        return None
    kind = type(module.get_submodule(str(node.target))).__name__
    known = [values[arg].tolist() if isinstance(arg, fx.Node) and arg.op == "get_attr" else None for arg in node.args]
    first, rank = node.args[0] if node.args else None, getattr(values[node], "ndim", 0)
    if kind == "OnnxSlice" and all(each is not None for each in known[1:]):
        starts, ends, axes, steps = [*known[1:], *[None] * 4][:4]
        places = [slice(None)] * rank
        for k, axis in enumerate(axes or range(len(starts))):
            places[axis] = slice(starts[k], min(ends[k], 2**31), steps[k] if steps else 1)
        return operator.getitem, (first, tuple(places))
    if kind == "OnnxPadDynamic" and known[1] is not None:
        pads = [each for axis in reversed(range(rank)) for each in (known[1][axis], known[1][axis + rank])]
        return nn.functional.pad, (first, pads)
    if kind == "OnnxReshape" and rank == 2 and values[node].shape[0] == values[first].shape[0]:
        return torch.flatten, (first, 1)
    return None
