"""A graph run by PyTorch, node by node, so that PyTorch differentiates it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ...ir.errors import UnsupportedOpError
from ...ir.graph import Graph
from .functions import FUNCTIONS


class Forward:
    """Runs a graph on a device. Raises UnsupportedOpError for an operator that :mod:`.functions` does not list."""

    def __init__(self, graph: Graph, device: str, outputs: Sequence[str]) -> None:
        self._graph = graph.copy()
        tensors = self._graph.tensors()
        self._graph.set_outputs([tensors[name] for name in outputs])
        self._graph.clean()
        self._nodes, self._outputs = self._graph.nodes, list(outputs)
        for node in self._nodes:
            if node.domain or node.op not in FUNCTIONS:
                raise UnsupportedOpError("PyTorch does not run a node", node_name=node.name, op_type=node.qualified)
        stored = {tensor.name: tensor.array for tensor in self._graph.constants()}
        self.constants = {name: torch.tensor(array, device=device) for name, array in stored.items()}

    def run(self, feeds: Mapping[str, Any], weights: Mapping[str, Any]) -> dict[str, Any]:
        """Return the outputs by name; ``weights`` stand in for constants."""
        values: dict[str, Any] = {**self.constants, **feeds, **weights}
        for node in self._nodes:
            given = [values[tensor.name] for tensor in node.inputs if tensor.name]
            found = FUNCTIONS[node.op](node, self._graph.opset, given)
            several = found if isinstance(found, tuple | list) else (found,)
            values.update(zip((tensor.name for tensor in node.outputs), several, strict=False))
        return {name: values[name] for name in self._outputs}
