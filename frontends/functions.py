"""Local functions of a model: what they come to when every call is replaced by its body, counted before it is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

import onnx
import onnx.inliner

from ..ir.errors import BudgetError, InvalidModelError
from ..ir.memory import afford
from .wellformed import messages

_NODES = 100_000
_COPIES = 8  # of a node: as it was read, inlined, normalised, as an object, and written again

Key = tuple[str, str, str]


class _Extent(NamedTuple):
    """Of a function's body, or of a graph, with all calls replaced."""

    nodes: int
    bytes: int


def inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model without calls of local functions.

    Raises InvalidModelError for functions that call each other in a circle or cannot be inlined, BudgetError for a
    model that would have more than 100,000 nodes.
    """
    extent = _expanded(model)
    if extent.nodes > _NODES:
        why = f"{extent.nodes:,} nodes; at most {_NODES:,} are read"
        raise BudgetError("its local functions come to too many nodes", why=why)
    afford(_COPIES * extent.bytes, "the model with its local functions in place")
    return onnx.inliner.inline_local_functions(model)


def _expanded(model: onnx.ModelProto) -> _Extent:
    bodies = {(f.domain, f.name, f.overload): list(_nodes(f)) for f in model.functions}
    calls = {key: {_key(node) for node in nodes} & bodies.keys() for key, nodes in bodies.items()}
    known: dict[Key, _Extent] = {}
    try:
        for key in TopologicalSorter(calls).static_order():
            known[key] = _extent(bodies[key], known)
    except CycleError as error:
        raise InvalidModelError(f"the local function '{error.args[1][0][1]}' calls itself") from error
    return _extent(list(_nodes(model.graph)), known)


def _extent(nodes: list[onnx.NodeProto], known: Mapping[Key, _Extent]) -> _Extent:
    own = (known.get(_key(node)) or _Extent(1, node.ByteSize()) for node in nodes)
    counts, sizes = zip(*own, strict=True) if nodes else ((), ())
    return _Extent(sum(counts), sum(sizes))


def _nodes(message: onnx.FunctionProto | onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    yield from (each for each in messages(message) if isinstance(each, onnx.NodeProto))


def _key(node: onnx.NodeProto) -> Key:
    return node.domain, node.op_type, node.overload
