"""Operators on codes that onnxruntime has given channels on the last axis, written with channels first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ...ir.graph import Graph, Node
from ...ir.shapes import symbolic

_DOMAIN = "com.microsoft"


class _Form(NamedTuple):
    """The operator with channels first, its domain, what tells how many axes it has, and since when it takes codes."""

    op: str
    domain: str
    rank: Callable[[Graph, Node], int | None]
    since: int = 1


def channels_first(graph: Graph) -> int:
    """Write them between two transpositions; return how many nodes. One of an unknown number of axes stays."""
    found = [node for node in graph.nodes if node.qualified in _FORMS and _last(node)]
    return sum(_rewritten(graph, node, _FORMS[node.qualified]) for node in found)


def _last(node: Node) -> bool:
    return bool(node.attributes.get("channels_last", node.op.startswith("Nhwc")))


def _rewritten(graph: Graph, node: Node, form: _Form) -> bool:
    rank = form.rank(graph, node)
    if rank is None or graph.opset < form.since:
        return False
    x, *others = node.inputs
    out = node.outputs[0]
    first, made = (graph.variable(f"{tensor.name}_first", tensor.dtype) for tensor in (x, out))
    attributes = {name: value for name, value in node.attributes.items() if name != "channels_last"}
    graph.insert("Transpose", [x], [first], {"perm": [0, rank - 1, *range(1, rank - 1)]}, before=node)
    graph.insert(form.op, [first, *others], [made], attributes, before=node, domain=form.domain)
    graph.insert("Transpose", [made], [out], {"perm": [0, *range(2, rank), 1]}, before=node)
    graph.remove(node)
    return True


def _of_weight(_graph: Graph, node: Node) -> int | None:
    weight = node.inputs[3]
    return weight.array.ndim if weight.is_constant else None


def _of_window(_graph: Graph, node: Node) -> int | None:
    sizes = node.attributes.get("kernel_shape")
    return len(sizes) + 2 if sizes is not None else None


def _of_input(graph: Graph, node: Node) -> int | None:
    made = node.inputs[0].producer
    if made is not None and made.op == "Transpose" and "perm" in made.attributes:
        return len(made.attributes["perm"])
    dims = symbolic(graph).get(node.inputs[0].name)
    return len(dims) if dims is not None else None


_FORMS: Mapping[str, _Form] = {
    f"{_DOMAIN}.NhwcMaxPool": _Form("MaxPool", "", _of_window, since=12),
    f"{_DOMAIN}.QLinearAveragePool": _Form("QLinearAveragePool", _DOMAIN, _of_window),
    f"{_DOMAIN}.QLinearConv": _Form("QLinearConv", "", _of_weight),
    f"{_DOMAIN}.QLinearGlobalAveragePool": _Form("QLinearGlobalAveragePool", _DOMAIN, _of_input),
}
