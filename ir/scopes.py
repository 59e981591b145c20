"""Weights that several scopes of a model read: stored once, outside, where every subgraph sees them."""

from __future__ import annotations

from collections.abc import Container, Iterator

import onnx
import onnx_graphsurgeon as gs

from .protos import bodies


def copied(graph: gs.Graph) -> gs.Graph:
    """Copy a graph; a constant that several scopes read stays one."""
    copy, shared = graph.copy(), shared_names(graph)
    first: dict[str, gs.Constant] = {}
    for scope in _scopes(copy) if shared else ():
        for node in scope.nodes:
            for index, tensor in enumerate(node.inputs):
                if isinstance(tensor, gs.Constant) and tensor.name in shared:
                    node.inputs[index] = first.setdefault(tensor.name, tensor)
    return copy


def shared_names(graph: gs.Graph) -> set[str]:
    """Name the constants that more than one scope reads."""
    first: dict[int, gs.Graph] = {}
    found = set()
    for scope in _scopes(graph):
        for node in scope.nodes:
            for tensor in node.inputs:
                if isinstance(tensor, gs.Constant) and first.setdefault(id(tensor), scope) is not scope:
                    found.add(tensor.name)
    return found


def hoist(model: onnx.GraphProto, shared: Container[str]) -> None:
    """Move what is ``shared`` from the subgraphs of a written model to its outermost graph."""
    outer = {tensor.name for tensor in model.initializer}
    for body in bodies(model):
        inner = list(body.initializer)
        for tensor in inner:
            if tensor.name in shared and tensor.name not in outer:
                model.initializer.append(tensor)
                outer.add(tensor.name)
        del body.initializer[:]
        body.initializer.extend(tensor for tensor in inner if tensor.name not in shared)


def _scopes(graph: gs.Graph) -> Iterator[gs.Graph]:
    yield graph
    yield from graph.subgraphs(recursive=True)
