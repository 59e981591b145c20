"""The loss of tuning and its slopes by PyTorch; what they are, is said in ``passes/reconstruct/tuning/task.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ...ir.graph import Array, Graph
from .arrays import TorchArrays
from .forward import Forward


class TorchObjective:
    """Follows ``original`` with ``graph``: ``factors`` by tensor name, ``kept`` the axis and indices left of some.

    Everything stays on ``device`` between steps. Raises UnsupportedOpError.
    """

    def __init__(
        self,
        graph: Graph,
        original: Graph,
        kept: Mapping[str, tuple[int, Array]],
        factors: Mapping[str, float],
        weights: Sequence[str],
        device: str = "",
    ) -> None:
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.arrays = TorchArrays(self._device)
        self._factors, self._names = factors, list(weights)
        self._followed = Forward(original, self._device, list(factors))
        self._graph = Forward(graph, self._device, list(factors))
        self._kept = {
            name: (axis, torch.tensor(places, device=self._device))
            for name, (axis, places) in kept.items()
            if name in factors
        }

    def start(self) -> dict[str, Any]:
        """Return the weights as they are in the graph."""
        return {name: self._graph.constants[name] for name in self._names if name in self._graph.constants}

    def slopes(self, feeds: Mapping[str, Any], weights: Mapping[str, Any]) -> tuple[float, dict[str, Any]]:
        """Return the loss of a batch, and its slope by every weight that it depends on."""
        given = self.arrays.placed(feeds)
        with torch.no_grad():
            wanted = {name: self._left(name, value) for name, value in self._followed.run(given, {}).items()}
        moving = {name: value.detach().requires_grad_() for name, value in weights.items()}
        found = self._graph.run(given, moving)
        count = len(next(iter(given.values())))
        loss = sum(factor / count * ((found[name] - wanted[name]) ** 2).sum() for name, factor in self._factors.items())
        slopes = torch.autograd.grad(loss, list(moving.values()), allow_unused=True)
        return loss.detach(), {name: s for name, s in zip(moving, slopes, strict=True) if s is not None}

    def _left(self, name: str, value: Any) -> Any:
        if name not in self._kept:
            return value
        axis, places = self._kept[name]
        if places.numel() == places.shape[axis]:
            return value.index_select(axis, places.reshape(-1))
        form = [places.shape[axis] if place == axis else size for place, size in enumerate(value.shape)]
        return torch.take_along_dim(value, places.expand(form), axis)

    def whole(self, weights: Mapping[str, Any]) -> dict[str, Any]:
        """Return the graph's weights, which are those being moved."""
        return dict(weights)
