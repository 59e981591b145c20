"""``fold-channels``: let what stays absorb the removed channels, in closed form, with the statistics at hand."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ...ir.errors import UsageError
from ...ir.graph import Array, Graph, Node
from ..analysis.channels.readers import Reader, readers
from ..analysis.channels.surgery import Surgery, sliced_value
from ..analysis.layers.linear import Linear, linear_layers, stored_weight
from ..analysis.layers.writing import stored_bias, writable, write_bias, write_weight
from ..analysis.statistics.input_moments import InputMoments
from ..analysis.view import View
from ..base import Context, Outcome
from .standing import standing
from .substitution import choose_partners, into_mean, into_partners, into_survivors, survivor_shares

WAYS = ("mean", "partner", "survivors")


@dataclass(frozen=True)
class FoldChannels:
    """Absorb removed channels. ``into``: ``mean`` (the bias), ``partner`` (one survivor each, where that is better than
    the bias) or ``survivors`` (all of them). Cheaper than ``reconstruct``, and blind to errors of earlier layers.
    """

    into: str = "survivors"
    name: ClassVar[str] = "fold-channels"
    needs: ClassVar[frozenset[str]] = frozenset({"reference"})
    preserves: ClassVar[frozenset[str]] = frozenset({"reference", "written"})

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Rewrite weights and biases behind a removal; without one, or without calibration data, do nothing.

        Raises UsageError for an unknown ``into``.
        """
        if self.into not in WAYS:
            raise UsageError(f"removed channels cannot go into '{self.into}'", hint=f"one of {', '.join(WAYS)}")
        plan = context.plan
        assert plan.reference is not None  # the manager has checked what the pass needs
        if context.calibration is None:
            return Outcome(False, ("no calibration data: nothing folded",))
        moments, keep = context.moments(plan.reference, plan.rows), plan.class_mask(graph)
        if keep is None:
            return Outcome(False, ("channels are gone that the original's groups cannot tell apart: nothing folded",))
        here = standing(graph, plan.reference.graph, plan.formed)
        fold = _Fold(graph, plan.reference, keep, moments, here)
        changed = fold.write(fold.matrices(self.into))
        return Outcome(changed > 0, (f"{changed} layers absorbed removed channels",), {"layers_folded": changed})


class _Fold:
    """A pruned graph, the original, and the layers of both that can be rewritten."""

    def __init__(
        self, graph: Graph, reference: View, keep: Array, moments: Mapping[str, InputMoments], here: Set[str]
    ) -> None:
        self.graph, self.keep, self.moments = graph, keep, moments
        self.dense, self.channels = reference.graph, reference.channels
        self.surgery = Surgery(self.dense, self.channels.context, keep)
        slim = linear_layers(graph, self.surgery.shapes_after())
        able = here & moments.keys()
        self.slim = {n: layer for n, layer in slim.items() if n in able and writable(graph, graph.node(n), layer)}
        self.layers = {name: layer for name, layer in reference.layers.items() if name in self.slim}

    def matrices(self, into: str) -> dict[str, tuple[Array, Array]]:
        """Return old and new weights (g, d, m), in the original's form, of the layers that read removed channels."""
        weights: dict[str, Array] = {}
        found: dict[str, tuple[Array, Array]] = {}
        for group in self.channels.groups:
            stays = self.keep[group.cells]
            if stays.all():
                continue
            reading = readers(self.dense, self.channels, group, self.layers, self.moments, weights)
            reading = [reader for reader in reading if reader.node in self.slim]
            for reader, weight in zip(reading, folded(reading, stays, into), strict=True):
                old, new = found.setdefault(reader.node, (weights[reader.node], weights[reader.node].copy()))
                new[reader.part] += weight - reader.weight
        return found

    def write(self, matrices: Mapping[str, tuple[Array, Array]]) -> int:
        """Write weights and biases into the pruned graph; return how many layers changed."""
        for name, (old, new) in matrices.items():
            layer, slim, node = self.layers[name], self.slim[name], self.graph.node(name)
            shift = np.einsum("gdm,gd->gm", old - new, self.moments[name].mean)
            weight = self._sliced(new, self.dense.node(name), layer)
            spread = self._sliced(np.broadcast_to(shift[:, None], new.shape), self.dense.node(name), layer)
            bias = stored_bias(self.graph, node, slim) + slim.matrix(spread)[:, 0].ravel()
            write_weight(self.graph, node, slim, weight)
            write_bias(self.graph, node, slim, bias)
        return len(matrices)

    def _sliced(self, matrix: Array, node: Node, layer: Linear) -> Array:
        """Bring (g, d, m) into the stored form and remove what the pruned graph has no longer."""
        full = layer.weight(matrix, stored_weight(self.dense, node, layer).astype(np.float64))
        return sliced_value(self.surgery, node.inputs[layer.weight_index], full)


def folded(reading: Sequence[Reader], stays: Array, into: str) -> list[Array]:
    """Return each reader's weight (d, m) with zeros for what went and the rest absorbed. ``stays`` (cells, width) bool.

    Readers whose covariance is not known replace every removed channel by its mean.
    """
    flat = stays.ravel()
    cells: Array = np.arange(stays.size).reshape(stays.shape)
    bare = [replace(reader, ridge=0.0) for reader in reading]  # channels are far fewer than the taps it is meant for
    full = [reader for reader in bare if _full(reader)]
    if into == "partner" and full:
        partner = choose_partners(full, flat)
        return [into_partners(r, flat, partner) if _full(r) else into_mean(r, flat) for r in bare]
    if into == "survivors" and full:
        shares = [survivor_shares(full, units, here) for units, here in zip(cells, stays, strict=True)]
        return [into_survivors(r, flat, cells, shares) if _full(r) else into_mean(r, flat) for r in bare]
    return [into_mean(reader, flat) for reader in bare]


def _full(reader: Reader) -> bool:
    return reader.cov is not None and reader.cov.ndim == 2
