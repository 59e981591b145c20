"""What an edit changes in a graph: the nodes behind it, and the part of a graph that some tensors need."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ....ir.graph import Graph, Node, Tensor


@dataclass(frozen=True)
class Cone:
    """Names of nodes, and of the tensors they read from outside."""

    nodes: frozenset[str]
    reads: tuple[str, ...]


def cone(graph: Graph, wanted: Iterable[str], known: Callable[[Tensor], bool]) -> Cone:
    """Return the nodes that compute the ``wanted`` tensors from graph inputs and tensors that are ``known``."""
    tensors, inputs, outer = graph.tensors(), set(graph.inputs), set(graph.nodes)
    nodes: set[Node] = set()
    reads: dict[str, None] = {}
    stack = [tensors[name] for name in wanted]
    while stack:
        tensor = stack.pop()
        node = tensor.producer
        if tensor in inputs or (node in outer and known(tensor)):
            reads[tensor.name] = None
        elif node is not None and node in outer and node not in nodes:
            nodes.add(node)
            stack += [*node.inputs, *node.captures()]
    outside = tuple(name for name in reads if tensors[name].producer not in nodes)  # a node gives all its outputs
    return Cone(frozenset(node.name for node in nodes), outside)


def changed_nodes(original: Graph, edited: Graph) -> set[str]:
    """Name the nodes of an edited copy that may give other values than the nodes of that name in the original.

    Arrays are compared by identity, for copies share them. Nodes with subgraphs always count as changed.
    """
    before = {node.name: node for node in original.nodes}
    same = {tensor.name for tensor in original.inputs} & {tensor.name for tensor in edited.inputs}
    changed = set()
    for node in edited.nodes:
        old = before.get(node.name)
        if old is not None and _computes_alike(old, node) and _read_alike(old.inputs, node.inputs, same):
            same.update(tensor.name for tensor in node.outputs)
        else:
            changed.add(node.name)
    return changed


def _computes_alike(old: Node, new: Node) -> bool:
    if old.has_subgraphs or new.has_subgraphs or (old.op, old.domain) != (new.op, new.domain):
        return False
    if [tensor.name for tensor in old.outputs] != [tensor.name for tensor in new.outputs]:
        return False
    one, two = old.attributes, new.attributes
    return one.keys() == two.keys() and all(_equal(one[key], two[key]) for key in one)


def _equal(one: object, two: object) -> bool:
    return one is two or (type(one) is type(two) and bool(np.array_equal(one, two)))  # type: ignore[arg-type]


def _read_alike(old: Sequence[Tensor], new: Sequence[Tensor], same: set[str]) -> bool:
    return len(old) == len(new) and all(_is_same(a, b, same) for a, b in zip(old, new, strict=True))


def _is_same(old: Tensor, new: Tensor, same: set[str]) -> bool:
    if old.is_constant or new.is_constant:
        return old.is_constant and new.is_constant and old.array is new.array
    return old.name == new.name and (not new.name or new.name in same)
