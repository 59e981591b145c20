"""The branch of an If that is known to be taken, written where the If stood."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import onnx_graphsurgeon as gs

from .graph import Array, Graph, Node
from .names import fresh

_KINDS = {"value_float": np.float32, "value_int": np.int64}
_BRANCHES = "else_branch", "then_branch"


def take_branch(graph: Graph, node: Node, taken: bool) -> None:
    """Put the nodes of an If's branch in its place, and an Identity at each of its outputs; the other branch goes.

    Tensors and nodes of the branch get new names where others, in whichever scope, are called so. Time: linear in the
    tensors of the model.
    """
    raw, nodes = node._raw, graph._raw.nodes
    body, results = raw.attrs.pop(_BRANCHES[taken]), list(raw.outputs)
    place = next(i for i, each in enumerate(nodes) if each is raw)
    node.unlink()
    del nodes[place]
    _rename(graph._raw, body)
    pairs = zip(body.outputs, results, strict=True)
    joins = [gs.Node("Identity", inputs=[end], outputs=[result]) for end, result in pairs if result.name]
    nodes[place:place] = [*body.nodes, *joins]
    graph.name_nodes()
    for inner in map(Node, list(body.nodes)):
        array = _stored(inner)
        if array is not None:
            result = inner.outputs[0]
            graph.remove(inner)
            graph.make_constant(result, array)


def _stored(node: Node) -> Array | None:
    """Return what a Constant node holds; None for texts, and for other operators."""
    if node.qualified != "Constant":
        return None
    ((kind, value),) = node.attributes.items()
    array = np.asarray(value, _KINDS.get(kind.removesuffix("s")))
    return array if array.dtype.kind not in "OSU" else None


def _rename(outer: gs.Graph, body: gs.Graph) -> None:
    """Give what ``body`` alone has names that nothing in ``outer`` and its subgraphs has."""
    there = {id(tensor) for tensor in outer.inputs} | {id(tensor) for tensor in outer.outputs}
    names, called = {tensor.name for tensor in (*outer.inputs, *outer.outputs)}, set[str]()
    for node in _every(outer.nodes):
        called.add(node.name)
        there.update(map(id, (*node.inputs, *node.outputs)))
        names.update(tensor.name for tensor in (*node.inputs, *node.outputs))
    inner = {id(t): t for node in _every(body.nodes) for t in (*node.inputs, *node.outputs)}
    taken = names | {tensor.name for tensor in inner.values()}
    for key, tensor in inner.items():
        if key not in there and tensor.name and tensor.name in names:
            tensor.name = fresh(tensor.name, taken)
            taken.add(tensor.name)
    for node in body.nodes:
        node.name = fresh(node.name, called) if node.name else ""
        called.add(node.name)


def _every(nodes: Iterable[gs.Node]) -> Iterator[gs.Node]:
    """Yield nodes and those of their subgraphs."""
    for node in nodes:
        yield node
        yield from (inner for body in node.subgraphs(recursive=True) for inner in body.nodes)
