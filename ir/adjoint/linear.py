"""A part of a graph, how it changes with what it reads, to first order, and the adjoint of that: three graphs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import onnx
import onnx.helper
import onnx.numpy_helper

from ..graph import IR_VERSION, Graph
from ..shapes import Shape, concrete
from .backward import backward
from .program import Program
from .sheet import OPSET, Sheet


@dataclass(frozen=True)
class Linearised:
    """The first input of ``change`` is a change of that of ``forward``, that of ``adjoint`` a slope at the first output
    of ``forward``; all others are inputs or outputs of ``forward``, under the same names.
    """

    forward: Graph
    change: Graph
    adjoint: Graph


def linearised(graph: Graph, sizes: Mapping[str, Shape], also: Sequence[str] = ()) -> Linearised:
    """Linearise the first output of ``graph`` by its first input; ``forward`` gives the tensors in ``also`` too.

    ``sizes`` are the shapes of the inputs; through convolutions, products and activations, any number of samples goes
    later. The change is the adjoint's adjoint. Raises UnsupportedOpError at a node without a rule on the way.
    """
    source, target = graph.inputs[0].name, graph.outputs[0].name
    program = Program(graph, concrete(graph, sizes))
    slope = program.sheet.name("slope")
    out = program.backward({target: slope}, [source])[source]
    adjoint = _graph(graph, program.sheet, _behind(slope, program.sheet.nodes), slope, out)
    given = [tensor.name for tensor in adjoint.inputs[1:]]
    read = dict.fromkeys([target, *also, *(name for name in given if name not in sizes)])
    forward = program.graph({name: name for name in read})
    shapes = concrete(forward, sizes)
    inner = concrete(adjoint, {slope: shapes[target], **{name: shapes[name] for name in given}})
    return Linearised(forward, _turned(adjoint, inner), adjoint)


def _turned(graph: Graph, shapes: Mapping[str, Shape]) -> Graph:
    """Return the adjoint of a linear graph."""
    source, target = graph.inputs[0].name, graph.outputs[0].name
    sheet = Sheet(graph.tensors())
    slope = sheet.name("slope")
    out = backward(graph, shapes, sheet, {target: slope}, [source])[source]
    return _graph(graph, sheet, sheet.nodes, slope, out)


def _behind(slope: str, nodes: Iterable[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Choose the nodes that depend on a tensor."""
    moved, found = {slope}, []
    for node in nodes:
        if moved.intersection(node.input):
            moved.update(node.output)
            found.append(node)
    return found


def _graph(graph: Graph, sheet: Sheet, nodes: Sequence[onnx.NodeProto], slope: str, out: str) -> Graph:
    """Put nodes of a sheet together; they read a slope, and what they neither make nor find stored."""
    stored = [onnx.numpy_helper.from_array(tensor.array, tensor.name) for tensor in graph.constants()]
    stored += sheet.constants
    known = {name for node in nodes for name in node.output} | {tensor.name for tensor in stored}
    read = dict.fromkeys([slope, *(name for node in nodes for name in node.input if name not in known)])
    whole = onnx.helper.make_graph(nodes, "linear", [_floats(name) for name in read], [_floats(out)], stored)
    opsets = [onnx.helper.make_opsetid("", OPSET)]
    found = Graph.of(onnx.helper.make_model(whole, opset_imports=opsets, ir_version=IR_VERSION))
    found.clean()
    return found


def _floats(name: str) -> onnx.ValueInfoProto:
    """Declare a tensor of floats of any shape."""
    value = onnx.helper.make_empty_tensor_value_info(name)
    value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    return value
