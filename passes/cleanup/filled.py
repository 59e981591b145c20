"""Tensors of one number, as initial states are that an export makes for as many samples as come.

Beside a tensor of their shape they are that number; elsewhere a stored vector that is repeated for every sample, whose
channels can go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from ...ir.graph import Array, Dim, Graph, Node, Tensor
from .shape_values import Known

_PAIRS = frozenset({"Add", "Div", "Max", "Min", "Mul", "PRelu", "Pow", "Sub"})
_LARGEST = 4096  # entries that are stored instead
_REPEATED = 8  # the operator set that Expand came with


def write_filled(graph: Graph, shapes: Mapping[str, tuple[Dim, ...]], values: Mapping[str, Known]) -> int:
    """Rewrite what a ConstantOfShape of floats fills, where its shape is known in part; return how many readers.

    Vectors are written only where no number is left to write: shapes may be known by then that are not yet.
    """
    found = [fill for fill in (_Fill.of(graph, node, values) for node in graph.nodes) if fill is not None]
    return sum(fill.as_number(graph, shapes) for fill in found) or sum(fill.as_vector(graph) for fill in found)


@dataclass(frozen=True)
class _Fill:
    """A node that fills ``dims`` with a ``number`` (1,)."""

    node: Node
    dims: tuple[Dim, ...]
    number: Array

    @staticmethod
    def of(graph: Graph, node: Node, values: Mapping[str, Known]) -> _Fill | None:
        """Return a node of that kind whose shape is known in part."""
        if node.op != "ConstantOfShape" or node.domain or graph.opset < _REPEATED:
            return None
        form, given = values.get(node.inputs[0].name), node.attribute("value", graph.opset)
        number = np.zeros(1, np.float32) if given is None else given.ravel()[:1]
        return None if form is None or number.dtype.kind != "f" else _Fill(node, tuple(form.entries.tolist()), number)

    def as_number(self, graph: Graph, shapes: Mapping[str, tuple[Dim, ...]]) -> int:
        """Let those read the number that read it beside a tensor of that shape."""
        out = self.node.outputs[0]
        alone = [reader for reader in out.consumers if _beside_alike(reader, out, self.dims, shapes)]
        for reader in alone:
            one = graph.constant(f"{out.name}_number", self.number.reshape(()))
            reader.set_inputs([one if tensor == out else tensor for tensor in reader.inputs])
        return len(alone)

    def as_vector(self, graph: Graph) -> int:
        """Store what is known of it, and repeat that."""
        out = self.node.outputs[0]
        known = [dim if isinstance(dim, int) else 1 for dim in self.dims]
        if not out.consumers or len(known) == sum(isinstance(dim, int) for dim in self.dims):
            return 0
        if not 1 < prod(known) <= _LARGEST:
            return 0
        stored = graph.constant(f"{out.name}_filled", np.full(known, self.number[0], self.number.dtype))
        graph.insert("Expand", [stored, self.node.inputs[0]], [out], before=self.node)
        graph.remove(self.node)
        return len(out.consumers)


def _beside_alike(reader: Node, out: Tensor, dims: tuple[Dim, ...], shapes: Mapping[str, tuple[Dim, ...]]) -> bool:
    """Whether a sum, product or the like reads it beside a tensor that surely has its shape, or is larger."""
    if reader.domain or reader.op not in _PAIRS or len(reader.inputs) != 2 or None in dims:
        return False
    others = [tensor for tensor in reader.inputs if tensor != out]
    whole = shapes.get(others[0].name, ()) if others else ()
    return len(whole) >= len(dims) and whole[len(whole) - len(dims) :] == dims
