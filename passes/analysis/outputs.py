"""The original model's outputs on some calibration samples, and how far a changed graph is from them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...ir.feeds import Calibration, Feeds, batch_size
from ...ir.graph import Array, Graph
from ...ir.runner import Runner
from .divergence import as_logits, disagreement, divergence, looks_like_logits


@dataclass(frozen=True)
class Judge:
    """Holds samples and the reference outputs; :meth:`of` scores a graph with the same interface."""

    runner: Runner
    feeds: Sequence[Feeds]
    reference: dict[str, Array]
    producers: dict[str, str]

    def of(self, graph: Graph) -> float:
        """Return the divergence of ``graph``'s outputs from the reference, summed over outputs.

        Integer outputs count only where there are no floats.
        """
        outputs = run_all(graph, self.feeds, self.runner)
        return sum(self._one(name, outputs[name]) for name in self.reference)

    def _one(self, name: str, values: Array) -> float:
        reference = self.reference[name]
        if reference.dtype.kind != "f":
            return disagreement(reference, values)
        if self.producers[name] == "Softmax" and reference.ndim == 2:
            return divergence(as_logits(reference), as_logits(values), logits=True)
        return divergence(reference, values, logits=looks_like_logits(reference, self.producers[name]))


def judge(graph: Graph, samples: Calibration, runner: Runner) -> Judge:
    """Run ``graph`` on samples and remember its outputs."""
    feeds = list(samples.batches(batch_size(graph, 64)))
    outputs = run_all(graph, feeds, runner)
    floats = {name: values for name, values in outputs.items() if values.dtype.kind == "f"}
    made = {t.name: t.producer.op if t.producer is not None else "" for t in graph.outputs}
    return Judge(runner, feeds, floats or outputs, made)


def run_all(graph: Graph, feeds: Sequence[Feeds], runner: Runner) -> dict[str, Array]:
    """Run every batch and put the outputs end to end."""
    session = runner.session(graph)
    parts = [session.run(batch) for batch in feeds]
    return {name: _joined([np.atleast_1d(part[name]) for part in parts]) for name in parts[0]}


def _joined(parts: Sequence[Array]) -> Array:
    """Put batches end to end; flat where the last, shorter batch shows that the first axis does not count samples."""
    alike = len({part.shape[1:] for part in parts}) == 1
    return np.concatenate(parts if alike else [part.ravel() for part in parts])
