"""What ``analyse`` finds: groups of coupled channels, pins with reasons, and the cost of every layer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..ir.cost import Cost, cost, total, unknown_layers
from ..ir.graph import Graph
from ..ir.runner import Runner
from ..ir.shapes import input_sizes
from ..ir.stored import stored_nodes
from ..passes.analysis.channels.groups import Channels, analyse
from ..passes.analysis.channels.why import Why, explain
from .compression import baseline
from .report import PinLine, pin_lines
from .sizing import notes, uncounted


@dataclass(frozen=True)
class Analysis:
    """A graph with its shape arithmetic folded, its channels and its costs by node name."""

    graph: Graph
    channels: Channels
    costs: dict[str, Cost]

    @staticmethod
    def of(graph: Graph, runner: Runner) -> Analysis:
        """Analyse a copy; ``graph`` stays as it is. Raises InvalidModelError when input shapes are unknown."""
        folded = baseline(graph, runner)
        return Analysis(folded, analyse(folded), cost(folded))

    @property
    def pins(self) -> tuple[PinLine, ...]:
        """What has to stay, with reasons."""
        return pin_lines(self.channels, self.costs)

    @property
    def free(self) -> Cost:
        """What the layers cost that make or read channels that can go, with what holds their weights as codes."""
        context = self.channels.context
        live = {name for name, labels in context.labels.items() if labels.atoms.any()}
        reading = {end.node for end in context.contractions if end.labels.atoms.any()}
        stored, nodes = stored_nodes(self.graph), list(self.graph.nodes)
        free = {node.name for node in nodes if node.name in reading or node.outputs[0].name in live}
        for node in reversed(nodes):  # readers come before what makes their weights
            if node.name in stored and any(reader.name in free for reader in node.outputs[0].consumers):
                free.add(node.name)
        return sum((self.costs[name] for name in free), Cost())

    @property
    def notes(self) -> tuple[str, ...]:
        """At which sizes costs count, where nobody gave them, and what is not counted."""
        return (*notes(self.graph), *uncounted(self.graph))

    def why(self, name: str) -> Why:
        """Explain what couples and pins the channels of a tensor, or of what a node makes. Raises UsageError."""
        return explain(self.channels, name)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON file."""
        groups = [
            {"name": g.name, "width": g.width, "cells": len(g.cells), "members": list(g.members)}
            for g in self.channels.groups
        ]
        layers = [{"node": n.name, "op": n.op, **asdict(self.costs[n.name])} for n in self.graph.nodes]
        pins = [line.to_json() for line in self.pins]
        return {
            "input_shapes": {name: list(shape) for name, shape in input_sizes(self.graph, 1).items()},
            "notes": list(self.notes),
            "groups": groups,
            "pins": pins,
            "layers": layers,
            "total": asdict(total(self.costs)),
            "free": {"macs": self.free.macs, "parameters": self.free.parameters},
            "unknown": list(unknown_layers(self.graph)),
        }
