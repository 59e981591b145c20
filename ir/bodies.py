"""Subgraphs as graphs of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx
import onnx_graphsurgeon as gs

from .constants import store_constants
from .graph import IR_VERSION, Graph, Node
from .scopes import copied
from .sizes import Shape

Typed = tuple[Any, Shape]


def body(graph: Graph, node: Node, name: str, given: Sequence[Typed], shapes: Mapping[str, Shape]) -> Graph:
    """Copy the subgraph that ``node``, a node of ``graph``, has as its attribute ``name``.

    ``given``: element type and shape of each of its inputs; ``shapes``: of the tensors of ``graph``. Those that it
    reads become inputs after its own. KeyError where the shape of one is not known.
    """
    raw = copied(node._raw.attrs[name])
    captured = _captured(raw)
    tensors = graph.tensors()
    types = [*given, *((tensors[tensor.name].dtype, shapes[tensor.name]) for tensor in captured)]
    raw.inputs = [*raw.inputs, *captured]
    for tensor, (dtype, shape) in zip(raw.inputs, types, strict=True):
        tensor.dtype, tensor.shape = dtype, list(shape)
    base = onnx.ModelProto(ir_version=IR_VERSION, opset_import=[onnx.helper.make_opsetid("", graph.opset)])
    model = Graph(raw, base).to_model()
    store_constants(model)
    return Graph.of(model)


def _captured(raw: gs.Graph) -> list[gs.Variable]:
    """Return what a subgraph, and those inside it, read of outside, each once, in order of first use."""
    scopes = [raw, *raw.subgraphs(recursive=True)]
    nodes = [node for scope in scopes for node in scope.nodes]
    own = {tensor.name for node in nodes for tensor in node.outputs}
    own |= {tensor.name for scope in scopes for tensor in scope.inputs}
    read = {tensor.name: tensor for node in nodes for tensor in node.inputs if isinstance(tensor, gs.Variable)}
    return [tensor for name, tensor in read.items() if name and name not in own]
