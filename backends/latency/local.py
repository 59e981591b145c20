"""onnxruntime on this machine as the device that a model is meant for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...ir.feeds import Feeds, random_feeds
from ...ir.graph import Graph
from ...ir.timing import Comparison, Timer
from ..ort import OrtRunner
from ..ort.profiler import profile
from .alignment import alignment, convolutions
from .execution import Execution, interleaved
from .predictor import Predictor

_SECONDS = 0.5
_COMPARED = 1.0
_MILLISECOND = 1e-3
_MICROSECOND = 1e-6


@dataclass(frozen=True)
class LocalDevice:
    """Measures on this machine, at ``target``'s threads and batch; tables lie in ``folder`` or the user's cache."""

    target: Execution = Execution()
    folder: Path | None = None

    def times(self, graphs: Sequence[Graph]) -> list[float]:
        """Return each graph's seconds on random inputs: those of the first, and as that the others' shares of it.

        Shares are of rounds in which a graph and the first one take turns, as :meth:`compare` has it: beside other work
        threads that wait for each other take many times as long in some runs, more of them the longer the model is.
        Raises InvalidModelError when onnxruntime refuses one.
        """
        if len(graphs) == 1:
            return interleaved(graphs, self.target, _SECONDS)
        runner = self.target.runner()
        sessions, feeds = [runner.session(graph) for graph in graphs], [self._feeds(graph) for graph in graphs]
        others = range(1, len(graphs))
        found = [runner.latency([sessions[0], sessions[i]], [feeds[0], feeds[i]], _SECONDS) for i in others]
        before = float(np.median([each.p50[0] for each in found])) * _MILLISECOND
        return [before, *(before * each.ratio.middle for each in found)]

    def multiple(self) -> int:
        """Return the multiple of channels that pays, from the table of a few convolutions."""
        return alignment(Predictor.learn(convolutions(), (), self.target, folder=self.folder))

    @property
    def separable(self) -> bool:
        """Layers run one after another."""
        return True

    def layers(self, graph: Graph) -> Mapping[str, float]:
        """Return the seconds of each layer, with what onnxruntime fuses into it, under its profiler."""
        times = profile([graph], [self._feeds(graph)], self.target.runner(), _SECONDS)[0]
        found: dict[str, float] = {}
        for time in times:
            found[time.layer] = found.get(time.layer, 0.0) + time.microseconds * _MICROSECOND
        found.pop("", None)
        return found

    def compare(self, before: Graph, after: Graph) -> Comparison:
        """Time both in turns for a second, on random inputs."""
        feeds = self._feeds(before)
        runner = OrtRunner(self.target.threads, True)
        found = runner.compare([before, after], [feeds, feeds], _COMPARED)
        return Comparison(found.p50[0] * _MILLISECOND, found.ratio, found.shares)

    def forecast(self, graph: Graph, others: Sequence[Graph]) -> Timer:
        """Return a predictor whose table covers the graph and ``others``."""
        return Predictor.learn(graph, others, self.target, folder=self.folder)

    def _feeds(self, graph: Graph) -> Feeds:
        return random_feeds(graph, np.random.default_rng(0), self.target.batch)
