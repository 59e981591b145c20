"""What a pipeline has left, as arrays that a cache keeps and processes send."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import onnx

from ..ir.graph import Array, Graph
from .analysis.view import View
from .checkpoint import plan_from_json, plan_to_json
from .codec import decode, encode
from .observers import Record
from .plan import Plan

Packed = Mapping[str, Array]
"""A graph, the reference of its plan, and the rest as JSON: bytes by name, (n,) uint8 each."""

_BEFORE = b"="  # stands for a reference that is the graph before

LARGEST = 2**28
"""Bytes of a model that is packed: larger ones are neither sent nor kept."""


def packed(before: Graph, graph: Graph, plan: Plan, records: Sequence[Record], notes: Sequence[str] = ()) -> Packed:
    """Write what a pipeline has left of the graph ``before``. Raises TypeError for figures without a form in JSON."""
    state = {"plan": plan_to_json(plan), "records": encode(tuple(records)), "notes": list(notes)}
    parts = {
        "graph": _written(graph),
        "reference": b"" if plan.reference is None else _told(plan.reference.graph, before),
        "state": json.dumps(state).encode(),
    }
    return {name: np.frombuffer(data, np.uint8) for name, data in parts.items()}


def unpacked(found: Packed, before: Graph) -> tuple[Graph, Plan, tuple[Record, ...], tuple[str, ...]]:
    """Read what :func:`packed` has written: graph, plan, records and notes. Sizes are those of the graph ``before``.

    Raises InvalidModelError for what it has not written.
    """
    state = json.loads(found["state"].tobytes())
    graph = _read(found["graph"], before)
    known = found["reference"].tobytes()
    reference = None if not known else before.copy() if known == _BEFORE else _read(found["reference"], before)
    plan = plan_from_json(state["plan"], View(graph), reference)
    return graph, plan, tuple(decode(state["records"])), tuple(state["notes"])


def _written(graph: Graph) -> bytes:
    return bytes(graph.to_model().SerializeToString(deterministic=True))


def _told(reference: Graph, before: Graph) -> bytes:
    data = _written(reference)
    return _BEFORE if data == _written(before) else data


def _read(data: Array, before: Graph) -> Graph:
    graph = Graph.of(onnx.load_model_from_string(data.tobytes()))
    graph.sizes = before.sizes
    return graph
