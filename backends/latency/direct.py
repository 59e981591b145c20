"""Times measured on this machine, whole networks in turns."""

import time
from collections.abc import Sequence

import numpy as np
import onnxruntime

from ...ir.errors import InvalidModelError
from ...ir.feeds import Feeds, random_feeds
from ...ir.graph import Graph
from ..ort import REFUSALS, hand_over, without_large
from .execution import Execution

_SECONDS = 0.25  # a network
_RUNS = (10, 200)


def interleaved(
    graphs: Sequence[Graph], target: Execution, budget: float = _SECONDS, quantile: float = 0.5
) -> list[float]:
    """Return a quantile of each graph's seconds, run in turns for about ``budget`` seconds each, ten runs at least.

    Raises InvalidModelError when onnxruntime refuses one.
    """
    rng = np.random.default_rng(0)
    feeds = [random_feeds(graph, rng, target.batch) for graph in graphs]
    try:
        sessions = [_session(graph, target) for graph in graphs]
        alone = [min(_timed(session, fed) for _ in range(3)) for session, fed in zip(sessions, feeds, strict=True)]
    except REFUSALS as error:
        raise InvalidModelError("onnxruntime does not run the model", why=str(error).splitlines()[0]) from error
    runs = [int(np.clip(budget / one, *_RUNS)) for one in alone]
    rows: list[list[float]] = [[] for _ in graphs]
    for turn in range(_RUNS[0]):
        order = range(len(graphs)) if turn % 2 else reversed(range(len(graphs)))
        for i in order:
            sessions[i].run(None, feeds[i])  # the graph before has left the caches to itself
            rows[i] += [_timed(sessions[i], feeds[i]) for _ in range(-(-runs[i] // _RUNS[0]))]
    return [float(np.quantile(row, quantile)) for row in rows]


def _session(graph: Graph, target: Execution) -> onnxruntime.InferenceSession:
    model, large = without_large(graph.copy())
    options = target.options()
    hand_over(options, large)
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=[target.provider])


def _timed(session: onnxruntime.InferenceSession, feeds: Feeds) -> float:
    start = time.perf_counter()
    session.run(None, feeds)
    return time.perf_counter() - start
