"""A graph with its operators lowered where they have no rule, and with Scans that remember their states."""

from __future__ import annotations

from collections.abc import Mapping

import onnx.helper

from ...constants import store_constants
from ...errors import UnsupportedOpError
from ...graph import Graph, Node
from ...protos import every_name
from ...shapes import Shape
from ..sheet import Sheet
from ..step import Step, other_floats
from .scans import remember
from .table import LOWERINGS


def lowers(graph: Graph) -> bool:
    """Whether some node may be lowered, or remembers its states."""
    return any(_is_lowered(node) for node in graph.nodes)


def lowered(graph: Graph, shapes: Mapping[str, Shape], outer: Sheet | None = None) -> Graph:
    """Return the graph, of opset 18 or more, or a copy; outputs keep their names. What cannot be lowered stays.

    New names are none of those on an ``outer`` sheet.
    """
    found = {node.name: node for node in graph.nodes if _is_lowered(node)}
    if not found:
        return graph
    model = graph.to_model()
    sheet = Sheet(every_name(model.graph)) if outer is None else outer.inner()
    for node in model.graph.node:
        if node.name not in found or not _lower(found[node.name], graph, sheet, shapes):
            sheet.nodes.append(node)
        if node.op_type == "Scan":
            remember(node, sheet)
    del model.graph.node[:]
    model.graph.node.extend(sheet.nodes)
    model.graph.initializer.extend(sheet.constants)
    store_constants(model)
    made = Graph.of(model)
    made.sizes = graph.sizes
    return made


def _is_lowered(node: Node) -> bool:
    return node.qualified in LOWERINGS or node.op == "Scan"


def _lower(node: Node, graph: Graph, sheet: Sheet, shapes: Mapping[str, Shape]) -> bool:
    """Write a node anew; return whether it could be."""
    if node.op == "Scan" or other_floats(node):
        return False
    tried = sheet.inner()
    try:
        results = LOWERINGS[node.qualified](Step(node, graph, tried, shapes))
    except UnsupportedOpError:
        return False
    sheet.nodes.extend(tried.nodes)
    sheet.constants.extend(tried.constants)
    for tensor, result in zip(node.outputs, results, strict=False):
        if tensor.name:
            sheet.nodes.append(onnx.helper.make_node("Identity", [result], [tensor.name], sheet.name("lowered")))
    return True
