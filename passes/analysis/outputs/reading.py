"""How an output is to be read: where its classes lie, and which number stands for zero where it is quantised."""

from __future__ import annotations

from dataclasses import dataclass

from ....ir.graph import Graph, Node, Tensor
from .axes import Axes
from .parts import MOVING, Part, parts

_ZERO_AT = {"QuantizeLinear": 2, "QLinearConv": 7, "QLinearMatMul": 7, "QGemm": 8, "QLinearAdd": 7, "QLinearMul": 7}
_ZERO_ELSE = 4  # of QLinearSigmoid, QLinearSoftmax, QLinearAveragePool and their like
_QUANTISED = "QLinear"


@dataclass(frozen=True)
class Reading:
    """``classes``: the axis of class scores, None where there is none or only the shape can tell; ``zero``: the number
    that stands for 0; ``parts``: what the output is judged by; ``decided``: the operator that decides it, if one does.
    """

    classes: int | None = None
    zero: float = 0.0
    parts: tuple[Part, ...] = ()
    decided: str = ""


def readings(graph: Graph) -> dict[str, Reading]:
    """Say of every output how it is read, by its name."""
    axes, of = Axes(graph), dict[str, list[Part]]()
    for part in parts(graph, axes=axes):
        of.setdefault(part.output, []).append(part)
    return {t.name: Reading(axes.classes(t), _zero(t), tuple(of[t.name]), of[t.name][0].decided) for t in graph.outputs}


def _zero(tensor: Tensor) -> float:
    """Return the zero point that a tensor was quantised with, 0 where it was not or differs along an axis."""
    node = tensor.producer
    while node is not None and node.op in MOVING and not node.domain:
        node = node.inputs[0].producer
    given = node.inputs[_place(node)] if node is not None and 0 < _place(node) < len(node.inputs) else None
    if given is None or not given.is_constant or given.array.size != 1:
        return 0.0
    return float(given.array.ravel()[0])


def _place(node: Node) -> int:
    """Return which input is the zero point of the output, -1 where there is none."""
    return _ZERO_AT.get(node.op, _ZERO_ELSE if node.op.startswith(_QUANTISED) else -1)
