"""Activations that are rounded on one scale: what has to keep sharing it, and may be given another."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ....ir.graph import Graph, Node
from .rounding import DEQUANTISE, QUANTISE, scale_of

_MOVES = frozenset(
    {"Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "Identity", "MaxPool", "Reshape", "Slice"}
    | {"SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"}
)


class Key(NamedTuple):
    """A scale, a zero point, and the type of the codes."""

    scale: float
    zero: int
    kind: np.dtype[Any]


def families(graph: Graph) -> dict[Key, list[Node]]:
    """Return the roundings of whole activations by what they round to, those left out that belong to the interface.

    Left out is every scale of codes that come in or go out, or that something else than a DequantizeLinear computes
    with.
    """
    found: dict[Key, list[Node]] = {}
    fixed: set[Key | None] = set()
    reached: set[Node] = set()
    for node in graph.nodes:
        key = _key(node)
        if node.op == QUANTISE and not node.domain:
            readers, free = _readers(graph, node)
            reached.update(readers)
            if not free or any(_key(reader) != key for reader in readers):
                fixed |= {key, *map(_key, readers)}
    for node in graph.nodes:
        if node.domain or node.op not in (QUANTISE, DEQUANTISE) or node.inputs[0].is_constant:
            continue
        key = _key(node)
        if key is not None:
            found.setdefault(key, []).append(node)
        if node.op == DEQUANTISE and node not in reached:
            fixed.add(key)
    rounded = {_key(node) for node in graph.nodes if node.op == QUANTISE and not node.inputs[0].is_constant}
    return {key: nodes for key, nodes in found.items() if key in rounded - fixed}


def _key(node: Node) -> Key | None:
    known = scale_of(node) if node.op in (QUANTISE, DEQUANTISE) and not node.domain else None
    return None if known is None else Key(*known)


def _readers(graph: Graph, node: Node) -> tuple[list[Node], bool]:
    """Return every DequantizeLinear that a node's codes reach, and whether they reach nothing else than such."""
    found, stack, free = [], list(node.outputs), True
    while stack:
        codes = stack.pop()
        free &= not graph.is_output(codes)
        for reader in codes.consumers:
            if reader.op == DEQUANTISE and not reader.domain:
                found.append(reader)
            elif reader.op in _MOVES and not reader.domain:
                stack += reader.outputs
            else:
                free = False
    return found, free
