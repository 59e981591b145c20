"""A Loop of a known number of steps: what counts them, whether it may end before, and what it carries unchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import onnx.helper

from ....ir.graph import Dim, Graph, Node, Tensor
from ..shape_values import Known
from .terms import Unlike

_EXACT_BYTES = 4  # of a number type that counts steps without rounding


class Count(NamedTuple):
    """A whole number: ``steps`` times the steps that are done, ``total`` times those there are in all, and ``more``."""

    steps: int
    total: int
    more: int


@dataclass
class Walk:
    """A Loop of ``total`` steps: a number, or the symbol of a dimension.

    ``states``: what is carried on, as the body reads it, with what it starts from and what it becomes. ``collected``:
    what the body hands out at each step. ``counts`` and ``true``: whole numbers, and conditions that hold as long as
    there is another step.
    """

    total: Dim
    nodes: list[Node]
    states: dict[Tensor, tuple[Tensor, Tensor]]
    collected: list[Tensor]
    counts: dict[Tensor, Count] = field(default_factory=dict)
    true: set[Tensor] = field(default_factory=set)

    def origin(self, tensor: Tensor) -> Tensor:
        """Follow a tensor to where it comes from unchanged, out of the body where it is carried in."""
        source = same(tensor)
        while source in self.states and same(self.states[source][1]) == source:
            source = same(self.states[source][0])
        return source

    def count(self, tensor: Tensor) -> Count:
        """Return what a single number counts; Unlike where that is unknown."""
        source = self.origin(tensor)
        if source.is_constant:
            return _stored(source)
        if source not in self.counts:
            raise Unlike
        return self.counts[source]

    def holds(self, tensor: Tensor) -> bool:
        """Whether a condition holds as long as there is another step."""
        source = self.origin(tensor)
        return bool(source.array.all()) if source.is_constant else source in self.true

    def read(self, node: Node, opset: int) -> None:
        """Note what a node counts or compares, if it does."""
        rule = _RULES.get(node.op)
        if rule is None or node.domain:
            return
        try:
            rule(self, node, opset)
        except Unlike:
            return


def walk(graph: Graph, node: Node, known: Mapping[str, Known]) -> Walk:
    """Read a Loop. Raises Unlike for one that is not told its number of steps, or may end before.

    ``known``: what :func:`.shape_values.shape_values` says of the numbers outside.
    """
    (nodes,), ((inputs, outputs),) = node.bodies(), node.body_ends()
    states = dict(zip(inputs[2:], zip(node.inputs[2:], outputs[1:], strict=False), strict=True))
    found = Walk(_total(node.inputs[0], known), nodes, states, outputs[1 + len(states) :])
    for tensor in graph.tensors().values():
        value = known.get(tensor.name)
        if value is not None and value.entries.ndim == 0 and value.entries[()] == found.total:
            found.counts[tensor] = Count(0, 1, 0)
    for outer in graph.nodes:
        found.read(outer, graph.opset)
    found.true.add(inputs[1])
    found.counts[inputs[0]] = Count(1, 0, 0)
    for state, (first, following) in states.items():
        if first.is_constant and _counts_on(state, same(following)):
            found.counts[state] = Count(1, 0, _stored(first).more)
    for inner in nodes:
        found.read(inner, graph.opset)
    if not all(found.holds(tensor) for tensor in (*node.inputs[1:2], outputs[0]) if tensor.name):
        raise Unlike
    return found


def same(tensor: Tensor) -> Tensor:
    """Return what an Identity hands on."""
    while tensor.producer is not None and tensor.producer.op == "Identity" and not tensor.producer.domain:
        tensor = tensor.producer.inputs[0]
    return tensor


def _total(tensor: Tensor, known: Mapping[str, Known]) -> Dim:
    if tensor.is_constant and tensor.array.size == 1:
        return int(tensor.array.ravel()[0])
    value = known.get(tensor.name)
    if value is None or value.entries.size != 1 or value.entries.ravel()[0] is None:
        raise Unlike
    total: Dim = value.entries.ravel()[0]
    return total


def _stored(tensor: Tensor) -> Count:
    array = tensor.array
    if array.ndim or array.dtype.kind not in "iuf" or not np.isfinite(array) or array != np.floor(array):
        raise Unlike
    return Count(0, 0, int(array))


def _counts_on(state: Tensor, following: Tensor) -> bool:
    """Whether a state becomes itself plus one."""
    node = following.producer
    if node is None or node.op != "Add" or node.domain or state not in node.inputs:
        return False
    other = node.inputs[node.inputs[0] == state]
    return other.is_constant and other.array.ndim == 0 and bool(other.array == 1)


def _add(walk: Walk, node: Node, _opset: int) -> None:
    sign = 1 if node.op == "Add" else -1
    left, right = map(walk.count, node.inputs)
    walk.counts[node.outputs[0]] = Count(*(a + sign * b for a, b in zip(left, right, strict=True)))


def _cast(walk: Walk, node: Node, opset: int) -> None:
    to = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(int(node.attribute("to", opset))))
    if to.kind in "iuf" and to.itemsize >= _EXACT_BYTES:
        walk.counts[node.outputs[0]] = walk.count(node.inputs[0])


def _less(walk: Walk, node: Node, _opset: int) -> None:
    left, right = map(walk.count, node.inputs)
    if node.op == "Greater":
        left, right = right, left
    steps, total, more = (b - a for a, b in zip(left, right, strict=True))
    least = 2 if steps else 1  # steps there are in all, where there is another one
    first, last = (total, more), (total + steps, more - 2 * steps)
    if all(_positive(slope, offset, walk.total, least) for slope, offset in (first, last)):
        walk.true.add(node.outputs[0])


def _positive(slope: int, offset: int, total: Dim, least: int) -> bool:
    """Whether ``slope * total + offset`` is above zero at any total that is possible, of the least and more."""
    if isinstance(total, int):
        return total < least or slope * total + offset > 0
    return slope >= 0 and slope * least + offset > 0


def _and(walk: Walk, node: Node, _opset: int) -> None:
    if all(map(walk.holds, node.inputs)):
        walk.true.add(node.outputs[0])


_RULES: dict[str, Callable[[Walk, Node, int], None]] = {
    "Add": _add,
    "And": _and,
    "Cast": _cast,
    "Greater": _less,
    "Less": _less,
    "Sub": _add,
}
