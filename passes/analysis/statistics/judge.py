"""The original model's outputs on some calibration samples, and how far a changed graph is from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ....ir.feeds import Calibration, Feeds, batch_size
from ....ir.graph import Array, Graph
from ....ir.runner import Runner
from .activations import Activations
from .cone import changed_nodes
from .divergence import as_logits, disagreement, divergence, looks_like_logits


@dataclass(frozen=True)
class Judge:
    """Holds a graph, its outputs on some samples and, as needed, its activations; :meth:`of` scores edited copies."""

    graph: Graph
    activations: Activations
    reference: dict[str, Array]
    producers: dict[str, str]

    def of(self, graph: Graph) -> float:
        """Return the divergence of ``graph``'s outputs from the reference, summed over outputs.

        Only nodes that may give other values than in the original run, from its stored activations; in a graph that is
        no copy, all do. Integer outputs count only where there are no floats.
        """
        changed = changed_nodes(self.graph, graph)
        made_by = {t.name: t.producer.name for t in graph.outputs if t.producer is not None}
        moved = [name for name in self.reference if made_by.get(name) in changed]
        if not moved:
            return 0.0
        outputs = _joined(list(self.activations.outputs(graph, changed, moved)))
        return sum(self._one(name, outputs[name]) for name in moved)

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
    original = graph.copy()  # the caller may go on to edit its own
    return Judge(original, Activations(original, feeds, runner), floats or outputs, made)


def run_all(graph: Graph, feeds: Sequence[Feeds], runner: Runner) -> dict[str, Array]:
    """Run every batch and put the outputs end to end."""
    session = runner.session(graph)
    return _joined([session.run(batch) for batch in feeds])


def _joined(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    return {name: _end_to_end([np.atleast_1d(part[name]) for part in parts]) for name in parts[0]}


def _end_to_end(parts: Sequence[Array]) -> Array:
    """Put batches end to end; flat where the last, shorter batch shows that the first axis does not count samples."""
    alike = len({part.shape[1:] for part in parts}) == 1
    return np.concatenate(parts if alike else [part.ravel() for part in parts])
