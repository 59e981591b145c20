"""Sweep a graph with facts about tensors: arrays that broadcast to the tensor's shape, like channel labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from math import prod
from typing import Generic, Protocol, Self, TypeVar

import numpy as np

from ...ir.graph import Array, Node, Tensor
from ...ir.shapes import Shape
from ..analysis.channels.labels import Propagation
from ..analysis.channels.rules.table import ELEMENTWISE, is_empty

_LARGEST = 2**20


class Facts(Protocol):
    """What is known of one tensor. Along an axis of size 1, one entry speaks for all indices."""

    @property
    def shape(self) -> Shape:
        """Size of every axis."""

    def map(self, move: Callable[[Array], Array]) -> Self:
        """Move every array the same way."""

    def spread(self, extent: Shape, axes: Sequence[int]) -> Self:
        """Give these axes one entry an index; ``extent`` is the tensor's shape."""

    def collapse(self, axes: Sequence[int]) -> Self:
        """Let one entry speak for the whole of these axes, whose size becomes 1."""

    def join(self, others: Sequence[Self], axis: int) -> Self:
        """Put facts of one form end to end."""


F = TypeVar("F", bound=Facts)


class FactSweep(ABC, Generic[F]):
    """One pass over a graph in topological order; ``facts`` holds what it found by tensor name."""

    def __init__(self, ctx: Propagation) -> None:
        self.ctx = ctx
        self.facts: dict[str, F] = {}
        for node in ctx.graph.nodes:
            if self._is_told(node):
                for tensor, found in zip(node.outputs, self.rule(node), strict=False):
                    if tensor.name and prod(found.shape) <= _LARGEST:
                        self.facts[tensor.name] = found

    def _is_told(self, node: Node) -> bool:
        """Whether a standard operator's shapes are known, those of its outputs from its inputs' and not from a run."""
        shapes = self.ctx.shapes
        known = all(t.name in shapes for t in (*node.inputs, *node.outputs) if t.name)
        if not known or node.domain or any(tensor.name in self.ctx.seen for tensor in node.outputs):
            return False
        if is_empty(self.ctx, node):
            return False
        return node.op not in ELEMENTWISE or _broadcast([shapes[t.name] for t in node.inputs if t.name])

    @abstractmethod
    def unknown(self, rank: int) -> F:
        """Return the facts of a tensor of which nothing is known."""

    @abstractmethod
    def stored(self, array: Array) -> F:
        """Return the facts of a constant."""

    @abstractmethod
    def rule(self, node: Node) -> Sequence[F]:
        """Return the facts of a node's outputs, in order; shorter where nothing is known of the rest."""

    def of(self, tensor: Tensor) -> F:
        """Return what is known of a tensor."""
        if tensor.is_constant and np.dtype(tensor.dtype).kind in "fiubV" and tensor.array.size <= _LARGEST:
            return self.stored(tensor.array)
        if tensor.name not in self.facts:
            self.facts[tensor.name] = self.unknown(len(self.ctx.shapes[tensor.name]))
        return self.facts[tensor.name]

    def along(self, tensor: Tensor, axis: int) -> F:
        """Return the facts of each index of one axis (it may count from the back), in arrays of one dimension."""
        extent = self.ctx.shape(tensor)
        place = axis % len(extent)
        facts = self.of(tensor).collapse([other for other in range(len(extent)) if other != place])
        return facts.spread(extent, [place]).map(np.ravel)


def _broadcast(shapes: Sequence[Shape]) -> bool:
    """Whether operands fit: inference does not mind those of a model that runs for another number of samples only."""
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return True


def on_axis(values: Array, axis: int, rank: int) -> Array:
    """Shape a vector so that it lies along one axis of a tensor."""
    place = axis % rank
    return values.reshape([-1 if other == place else 1 for other in range(rank)])
