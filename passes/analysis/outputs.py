"""The original model's outputs on some calibration samples, and how far a changed graph is from them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...ir.feeds import Calibration, Feeds, batch_size
from ...ir.graph import Array, Graph
from ...ir.runner import Runner
from .divergence import as_logits, divergence, looks_like_logits


@dataclass(frozen=True)
class Judge:
    """Holds samples and the reference outputs; :meth:`of` scores a graph with the same interface."""

    runner: Runner
    feeds: Sequence[Feeds]
    reference: dict[str, Array]
    producers: dict[str, str]

    def of(self, graph: Graph) -> float:
        """Return the divergence of ``graph``'s float outputs from the reference, summed over outputs."""
        outputs = run_all(graph, self.feeds, self.runner)
        return sum(self._one(name, outputs[name]) for name in self.reference)

    def _one(self, name: str, values: Array) -> float:
        reference = self.reference[name]
        if self.producers[name] == "Softmax" and reference.ndim == 2:
            return divergence(as_logits(reference), as_logits(values), logits=True)
        return divergence(reference, values, logits=looks_like_logits(reference, self.producers[name]))


def judge(graph: Graph, samples: Calibration, runner: Runner) -> Judge:
    """Run ``graph`` on samples and remember its outputs."""
    feeds = list(samples.batches(batch_size(graph, 64)))
    outputs = run_all(graph, feeds, runner)
    floats = {name: values for name, values in outputs.items() if values.dtype.kind == "f"}
    made = {t.name: t.producer.op if t.producer is not None else "" for t in graph.outputs}
    return Judge(runner, feeds, floats, made)


def run_all(graph: Graph, feeds: Sequence[Feeds], runner: Runner) -> dict[str, Array]:
    """Run every batch and put the outputs end to end."""
    session = runner.session(graph)
    parts = [session.run(batch) for batch in feeds]
    return {name: np.concatenate([np.atleast_1d(part[name]) for part in parts]) for name in parts[0]}
