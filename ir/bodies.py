"""Subgraphs as graphs of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx
import onnx_graphsurgeon as gs

from .graph import Graph, Node
from .scopes import copied
from .sizes import Shape

_IR_VERSION = 8
Typed = tuple[Any, Shape]


def body(graph: Graph, node: Node, name: str, given: Sequence[Typed], shapes: Mapping[str, Shape]) -> Graph:
    """Copy the subgraph that ``node``, a node of ``graph``, has as its attribute ``name``.

    ``given``: element type and shape of each of its inputs; ``shapes``: of the tensors of ``graph``. Those that it
    reads become inputs after its own. KeyError where the shape of one is not known.
    """
    raw = copied(node._raw.attrs[name])
    computed = {id(tensor) for each in raw.nodes for tensor in each.outputs}
    read = {t.name: t for each in raw.nodes for t in each.inputs if isinstance(t, gs.Variable) and t.name}
    named = {tensor.name for tensor in raw.inputs}
    captured = [t for name, t in read.items() if name not in named and id(t) not in computed]
    tensors = graph.tensors()
    types = [*given, *((tensors[tensor.name].dtype, shapes[tensor.name]) for tensor in captured)]
    raw.inputs = [*raw.inputs, *captured]
    for tensor, (dtype, shape) in zip(raw.inputs, types, strict=True):
        tensor.dtype, tensor.shape = dtype, list(shape)
    base = onnx.ModelProto(ir_version=_IR_VERSION, opset_import=[onnx.helper.make_opsetid("", graph.opset)])
    return Graph.of(Graph(raw, base).to_model())
