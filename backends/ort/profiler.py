"""Time by operator: what onnxruntime's profiler records, and which layer of the model each node it runs is."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ...ir.feeds import Feeds
from ...ir.graph import Graph, Node
from ...ir.scratch import scratch
from .sessions import OPTIMISED, OrtRunner, OrtSession
from .stopwatch import latency

_ROUNDS = 25
_SUFFIX = "_kernel_time"
_BLOCKED = "_nchwc"
_REORDERS = ("ReorderInput", "ReorderOutput")
_HALF_TICK = 0.5e-6  # the profiler cuts durations down to whole microseconds

Event = dict[str, Any]
Events = dict[tuple[str, str], list[Event]]


@dataclass(frozen=True)
class NodeTime:
    """A node as onnxruntime runs it, and its median time in microseconds.

    ``layer`` is the node of the model it stands for, or the one that gave its output where several were fused, and
    ``tensor`` that node's output; both are empty for a node that onnxruntime added.
    """

    name: str
    op: str
    layer: str
    tensor: str
    microseconds: float


def profile(
    graphs: Sequence[Graph], feeds: Sequence[Feeds], runner: OrtRunner, seconds: float
) -> list[tuple[NodeTime, ...]]:
    """Time every node of each model, in order of execution, over interleaved runs with onnxruntime's own profiler.

    The runs take about ``seconds`` and are at most 50. The profiler slows them and counts whole microseconds: shares
    of nodes of a few microseconds are rough. Raises InvalidModelError as the sessions do.
    """
    with scratch() as folder:
        places = [folder / str(index) for index in range(len(graphs))]
        for place in places:
            place.mkdir()
        runners = [replace(runner, record=place) for place in places]
        sessions = [one.deployed(graph) for one, graph in zip(runners, graphs, strict=True)]
        skipped = latency(sessions, feeds, seconds, most=_ROUNDS).warm_up
        recorded = [events(session) for session in sessions]
        models = [onnx.load(place / OPTIMISED, load_external_data=False) for place in places]
    return [
        node_times(rows, graph, model, skipped) for rows, graph, model in zip(recorded, graphs, models, strict=True)
    ]


def events(session: OrtSession) -> list[Event]:
    """End the recording of a session whose runner has a ``record`` folder, and return its events."""
    rows: list[Event] = json.loads(Path(session.inner.end_profiling()).read_text(encoding="utf-8"))
    return rows


def by_node(rows: Sequence[Event]) -> Events:
    """Return the executions of nodes that are not part of another node's, by name and operator, oldest first."""
    nodes = [row for row in rows if row["cat"] == "Node" and row["name"].endswith(_SUFFIX)]
    found: Events = defaultdict(list)
    end = -1
    for row in sorted(nodes, key=lambda row: (row["ts"], -row["dur"])):
        if row["ts"] >= end:
            end = row["ts"] + row["dur"]
            found[row["name"].removesuffix(_SUFFIX), row["args"]["op_name"]].append(row)
    return dict(found)


def seconds(rows: Sequence[Event]) -> float:
    """Average the quickest quarter: other processes only ever add time, and whole microseconds are coarse."""
    times = sorted(float(row["dur"]) for row in rows)
    quick = times[: (len(times) + 3) // 4]
    return sum(quick) / len(quick) * 1e-6 + _HALF_TICK


def node_times(rows: Sequence[Event], graph: Graph, optimised: onnx.ModelProto, skipped: int) -> tuple[NodeTime, ...]:
    """Return the medians over all runs but the first ``skipped``, from the events onnxruntime has recorded.

    ``optimised`` is the form of ``graph`` that was run. Nodes inside If, Loop and Scan count as part of these.
    """
    layers = _Layers(graph, optimised)
    times = []
    for (name, op), runs in by_node(rows).items():
        durations = [run["dur"] for run in runs]
        node = layers.of(name, op)
        layer, tensor = (node.name, node.outputs[0].name) if node is not None else ("", "")
        times.append(NodeTime(name, op, layer, tensor, float(np.median(durations[skipped:]))))
    return tuple(times)


class _Layers:
    """Finds the layer of a model that a node of its optimised form stands for."""

    def __init__(self, graph: Graph, optimised: onnx.ModelProto) -> None:
        self._nodes = {node.name: node for node in graph.nodes}
        computing = [node for node in graph.nodes if not all(tensor.is_constant for tensor in node.inputs)]
        self._producers = {tensor.name: node for node in computing for tensor in node.outputs if tensor.name}
        self._outputs = {node.name: node.output[0] for node in optimised.graph.node if node.output}

    def of(self, name: str, op: str) -> Node | None:
        """Return the node of the model, by name, else by the output; None for one that onnxruntime added."""
        if name in self._nodes:
            return self._nodes[name]
        if op in _REORDERS:
            return None
        if not name.endswith(_BLOCKED):
            return self._producers.get(self._outputs.get(name, ""))
        node = self._producers.get(name.removesuffix(_BLOCKED))
        return None if node is None else self._behind(node, op)

    def _behind(self, node: Node, op: str) -> Node:
        """Go back to the convolution from its activation: in the blocked layout it is called after the last output."""
        at: Node | None = node
        while at is not None and at.op != op:
            reads = [tensor for tensor in at.inputs if tensor.name in self._producers]
            at = self._producers[reads[0].name] if len(reads) == 1 else None
        return at or node
