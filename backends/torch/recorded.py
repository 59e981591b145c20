"""Steps that are launched as a whole: a GPU runs small layers faster than they can be launched one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

Tree = Mapping[str, Any]
_WARM_UPS = 2


class Recorded:
    """Repeats ``step(feeds, state, rates) -> state`` as one CUDA graph, recorded at the first call.

    Feeds and a state are tensors by name, rates are numbers. Every call returns the same state, written
    over. A step that cannot be recorded, for it asks for values on the way, is run as it is.
    """

    def __init__(self, step: Callable[[Tree, Tree, Tree], Tree]) -> None:
        self._step = step
        self._graph: torch.cuda.CUDAGraph | None = None
        self._plain = False

    def __call__(self, feeds: Tree, state: Tree, rates: Tree) -> Tree:
        """Return the state after one step."""
        if self._graph is None and not self._plain:
            self._record(feeds, state, rates)
        if self._graph is None:
            return self._step(feeds, state, rates)
        for name, value in feeds.items():
            self._feeds[name].copy_(value)
        for name, rate in rates.items():
            self._rates[name].fill_(rate)
        self._graph.replay()
        return self._state

    def _record(self, feeds: Tree, state: Tree, rates: Tree) -> None:
        self._feeds = {name: value.clone() for name, value in feeds.items()}
        device = next(iter(self._feeds.values())).device
        self._rates = {name: torch.tensor(float(rate), device=device) for name, rate in rates.items()}
        self._state = {name: value.clone() for name, value in state.items()}
        graph = torch.cuda.CUDAGraph()
        try:
            self._warm_up()
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._write(self._step(self._feeds, self._state, self._rates))
        except RuntimeError:
            self._plain = True
            return
        self._graph = graph

    def _warm_up(self) -> None:
        """Run on a stream apart, which libraries are set up on, and leave the state as it was."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UPS):
                self._step(self._feeds, self._state, self._rates)
        torch.cuda.current_stream().wait_stream(stream)

    def _write(self, state: Tree) -> None:
        for name, value in self._state.items():
            value.copy_(state[name])
