"""What a network is drawn towards, or its sensitivity is taken of: continuous tensors behind which outputs lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ....ir.arguments import softmax_axes
from ....ir.errors import UnsupportedOpError
from ....ir.graph import Graph, Tensor
from ....ir.shapes import Shape
from ..statistics.divergence import looks_like_logits
from .parts import parts
from .softened import softened


@dataclass(frozen=True)
class Aim:
    """``classes``: the axis of scores, such as a softmax turns into probabilities; None for other numbers."""

    tensor: str
    classes: int | None


def aims(graph: Graph, shapes: Mapping[str, Shape]) -> tuple[Aim, ...]:
    """Return the parts of outputs that are floats, before a softmax where there is one, in order.

    Raises UnsupportedOpError where there is none.
    """
    tensors, found = graph.tensors(), dict[str, Aim]()
    for part in parts(graph, behind=True):
        aim = _aim(graph, tensors[part.tensor], shapes)
        if aim is not None:
            found.setdefault(aim.tensor, aim)
    if not found:
        raise UnsupportedOpError("no output of float32 can be followed back through")
    return tuple(found.values())


def _aim(graph: Graph, tensor: Tensor, shapes: Mapping[str, Shape]) -> Aim | None:
    node = tensor.producer
    if node is None or tensor.dtype not in (None, np.float32) or tensor.name not in shapes:
        return None
    shape = shapes[tensor.name]
    soft = softened(graph, node, len(shape))
    if soft is not None:
        return Aim(soft[0].name, soft[1])
    if node.op in ("LogSoftmax", "Softmax"):
        along = softmax_axes(node, graph.opset, len(shape))
        return Aim(node.inputs[0].name, along[0] if len(along) == 1 else None)
    return Aim(tensor.name, len(shape) - 1 if looks_like_logits(shape, node.op) else None)
