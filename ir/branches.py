"""The branches of Ifs that are known to be taken, written where the Ifs stood."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import onnx_graphsurgeon as gs

from .graph import Array, Graph, Node
from .names import fresh

_KINDS = {"value_float": np.float32, "value_int": np.int64}
_BRANCHES = "else_branch", "then_branch"


def take_branches(graph: Graph, taken: Mapping[Node, bool]) -> None:
    """Put the nodes of a branch in the place of each If, and an Identity at each of its outputs; the other one goes.

    What Constant nodes of the branch hold is stored. Tensors and nodes of the branch get new names where others, in
    whichever scope, are called so. Time: linear in the tensors of the model.
    """
    bodies = {id(node._raw): node._raw.attrs.pop(_BRANCHES[then]) for node, then in taken.items()}
    results = {id(node._raw): list(node._raw.outputs) for node in taken}
    nodes: list[gs.Node] = graph._raw.nodes
    for node in taken:
        node.unlink()
    kept = [raw for raw in nodes if id(raw) not in bodies]
    names = _Names(graph._raw, kept, bodies.values())
    written: list[gs.Node] = []
    for raw in nodes:
        if id(raw) not in bodies:
            written.append(raw)
            continue
        body = bodies[id(raw)]
        names.settle(body)
        written += [inner for inner in body.nodes if not _store(graph, inner)]
        pairs = zip(body.outputs, results[id(raw)], strict=True)
        written += [gs.Node("Identity", inputs=[end], outputs=[made]) for end, made in pairs if made.name]
    nodes[:] = written
    graph.name_nodes()


def _store(graph: Graph, raw: gs.Node) -> bool:
    """Store what a Constant node holds in its place, unless it is text; say whether that was one."""
    node = Node(raw)
    if node.qualified != "Constant":
        return False
    ((kind, value),) = node.attributes.items()
    array: Array = np.asarray(value, _KINDS.get(kind.removesuffix("s")))
    if array.dtype.kind in "OSU":
        return False
    graph.make_constant(node.outputs[0], array)
    return True


class _Names:
    """What is called how, in all scopes: ``outer`` keeps its names, what lies in ``bodies`` alone gives way."""

    def __init__(self, outer: gs.Graph, kept: Iterable[gs.Node], bodies: Iterable[gs.Graph]) -> None:
        tensors = [*outer.inputs, *outer.outputs, *_tensors(kept)]
        self._outer = {id(tensor) for tensor in tensors}
        self._nodes = {node.name for node in _every(kept)}
        self._called: dict[str, set[int]] = {}
        for tensor in (*tensors, *(inner for body in bodies for inner in _within(body))):
            self._called.setdefault(tensor.name, set()).add(id(tensor))

    def settle(self, body: gs.Graph) -> None:
        """Give new names to what ``body`` alone has and others are called too; it is a part of what is outside then."""
        for tensor in _within(body):
            if id(tensor) not in self._outer and tensor.name and len(self._called[tensor.name]) > 1:
                self._called[tensor.name].remove(id(tensor))
                tensor.name = fresh(tensor.name, self._called)
                self._called[tensor.name] = {id(tensor)}
            self._outer.add(id(tensor))
        for node in body.nodes:
            node.name = fresh(node.name, self._nodes) if node.name else ""
            self._nodes.add(node.name)


def _within(body: gs.Graph) -> Iterator[gs.Tensor]:
    yield from (*body.inputs, *body.outputs, *_tensors(body.nodes))


def _tensors(nodes: Iterable[gs.Node]) -> Iterator[gs.Tensor]:
    """Yield what nodes and their subgraphs read, write and hand out."""
    for node in _every(nodes):
        yield from (*node.inputs, *node.outputs)
        for body in node.subgraphs():
            yield from (*body.inputs, *body.outputs)


def _every(nodes: Iterable[gs.Node]) -> Iterator[gs.Node]:
    """Yield nodes and those of their subgraphs."""
    for node in nodes:
        yield node
        yield from (inner for body in node.subgraphs(recursive=True) for inner in body.nodes)
