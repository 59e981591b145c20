"""``refit-scales``: give what a quantised network rounds the scales that its values have after channels have gone.

A scale reaches from one quantile of the values on the samples to another; of a few pairs that whose squared error is
least. Values that share a scale go on sharing it, as integer kernels that only move codes need. Biases in codes follow
the scales of their layers. What is rounded into an output, or comes in codes, keeps its scale: that is the interface.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...ir.errors import UsageError
from ...ir.feeds import Calibration
from ...ir.graph import Array, Graph, Node
from ..analysis.layers.codes import centre, coded, limits, spanned
from ..analysis.layers.families import Key, families
from ..analysis.layers.rounding import QUANTISE
from ..analysis.layers.writing import coded_biases, write_bias
from ..analysis.statistics.judge import judge
from ..base import Context, Outcome

_TAILS = (0.0, 1e-4, 1e-3)
_VALUES = 2**16


@dataclass(frozen=True)
class RefitScales:
    """Fit scales anew; they stay if the outputs of up to ``samples`` unseen samples are nearer to what they were."""

    samples: int = 128
    batch: int = 32
    name: ClassVar[str] = "refit-scales"
    preserves: ClassVar[frozenset[str]] = frozenset({"reference", "written"})

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Rewrite scales, zero points and biases; without data or removals, do nothing. Raises UsageError."""
        if min(self.samples, self.batch) < 1:
            raise UsageError("samples and batch must be at least 1")
        reference, plan = context.plan.reference, context.plan
        if reference is None or context.calibration is None or not (plan.kept or plan.formed):
            return Outcome(False)
        tried = graph.copy()
        found = families(tried)
        if not found:
            return Outcome(False)
        examiner = judge(reference.graph, context.judging(self.samples), context.runner)
        self._refit(tried, found, context.fitting(), context)
        before, after = examiner.of(graph), examiner.of(tried)
        if not after < before:
            return Outcome(False, (f"{len(found)} scales of activations fit as they are",))
        graph.become(tried)
        figures = {"scales": len(found), "error_before": before, "error_after": after}
        return Outcome(True, (f"{len(found)} scales of activations fitted anew",), figures)

    def _refit(self, graph: Graph, found: Mapping[Key, list[Node]], samples: Calibration, context: Context) -> None:
        biases = coded_biases(graph)
        for key, values in self._values(graph, found, samples, context).items():
            scale, zero = fitted(values, key)
            old = found[key][0].inputs[1]
            parameters = [graph.constant(old.name, np.asarray(scale, old.dtype))]
            parameters.append(graph.constant(f"{old.name}_zero", np.asarray(zero, key.kind)))
            for node in found[key]:
                node.set_inputs([node.inputs[0], *parameters])
        for node, layer, bias in biases:
            write_bias(graph, node, layer, bias)
        graph.sort()
        graph.clean()

    def _values(
        self, graph: Graph, found: Mapping[Key, list[Node]], samples: Calibration, context: Context
    ) -> dict[Key, Array]:
        """Return some of the values that each scale rounds, spread over all samples, flat."""
        read = {key: [n.inputs[0].name for n in nodes if n.op == QUANTISE] for key, nodes in found.items()}
        session = context.runner.session(graph, outputs=sorted({name for names in read.values() for name in names}))
        held: dict[Key, list[Array]] = {key: [] for key in found}
        for feeds in samples.batches(self.batch):
            given = session.run(feeds)
            for key, names in read.items():
                share = max(1, _VALUES * self.batch // (samples.samples * len(names)))
                held[key] += [_spread(given[name].ravel(), share) for name in names]
        return {key: np.concatenate(parts) for key, parts in held.items()}


def _spread(values: Array, most: int) -> Array:
    """Return about ``most`` of the values, evenly spread, with the least and the largest."""
    return np.concatenate([values[:: max(1, len(values) // most)], [values.min(), values.max()]])


def fitted(values: Array, key: Key) -> tuple[float, int]:
    """Return the scale and the zero point of ``key``'s codes with the least squared error over ``values`` (n,).

    Symmetric codes stay symmetric.
    """
    best, least = (key.scale, key.zero), np.inf
    for tail in _TAILS:
        low, high = (float(end) for end in np.quantile(values, [tail / 2, 1 - tail / 2]))
        tried = _symmetric(max(-low, high), key) if key.zero == centre(key.kind) else spanned(low, high, key.kind)
        scale = float(np.float32(tried[0]))
        codes = coded(values, np.asarray(scale), tried[1], key.kind).astype(np.float64)
        error = float((((codes - tried[1]) * scale - values) ** 2).sum())
        if error < least:
            best, least = (scale, tried[1]), error
    return best


def _symmetric(peak: float, key: Key) -> tuple[float, int]:
    return peak / (limits(key.kind)[1] - key.zero) or 1.0, key.zero
