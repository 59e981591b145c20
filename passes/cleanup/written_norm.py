"""What a transformer's fused operators are made of: sums, and norms over the last axis in any operator set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...ir.graph import Graph, Node, Tensor

EPSILON = 1e-12
"""What onnxruntime's fused norms add to a variance where they do not say."""
OLDEST = 11
"""The operator set since which reductions count axes from the last one."""
_FUSED = 17  # that LayerNormalization came with


def write_sum(graph: Graph, node: Node, parts: Sequence[Tensor], out: Tensor) -> None:
    """Write the sum of two or more ``parts`` before ``node``, one after the other."""
    total = parts[0]
    for place, part in enumerate(parts[1:], 2):
        made = out if place == len(parts) else graph.variable(f"{out.name}_part", total.dtype)
        graph.insert("Add", [total, part], [made], before=node)
        total = made


def write_norm(graph: Graph, node: Node, x: Tensor, vectors: Sequence[Tensor], out: Tensor, kind: Any) -> None:
    """Write ``x`` normalised, times the first of the ``vectors``, plus the second one, before ``node``.

    The variance gets the node's ``epsilon``. onnxruntime makes one operator of it in any case.
    """
    epsilon = float(node.attribute("epsilon", graph.opset, EPSILON))
    if graph.opset >= _FUSED:
        attributes = {"axis": -1, "epsilon": epsilon}
        graph.insert("LayerNormalization", [x, *vectors], [out], attributes, before=node)
        return

    def write(op: str, *inputs: Tensor, result: Tensor | None = None, **attributes: object) -> Tensor:
        made = graph.variable(f"{out.name}_{op}", kind) if result is None else result
        graph.insert(op, inputs, [made], attributes, before=node)
        return made

    two, least = (graph.constant(f"{out.name}_number", np.asarray(value, kind)) for value in (2, epsilon))
    off = write("Sub", x, write("ReduceMean", x, axes=[-1], keepdims=1))
    variance = write("ReduceMean", write("Pow", off, two), axes=[-1], keepdims=1)
    normal = write("Div", off, write("Sqrt", write("Add", variance, least)))
    scaled = write("Mul", normal, vectors[0], result=None if vectors[1:] else out)
    if vectors[1:]:
        write("Add", scaled, vectors[1], result=out)
