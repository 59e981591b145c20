"""``reconstruct``: re-solve every layer behind a removal by ridge least squares, front to back.

Inputs come from the pruned graph as far as it is solved, targets from the original (accumulated-error correction, F5),
so that each layer also makes up for what the layers before it could not.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...ir.feeds import Calibration
from ...ir.graph import Array, Graph, Node
from ...ir.shapes import Shape
from ..analysis.channels import Channels
from ..analysis.linear import Linear, linear_layers, stored_weight
from ..analysis.statistics import LARGEST, batch_for, spots_for
from ..analysis.stepper import Stepper
from ..analysis.surgery import Surgery, compact
from ..analysis.writing import writable, write_bias, write_weight
from ..base import Context, Outcome
from .paired import PairedMoments
from .targets import Target, target_of
from .weight_only import repair

WEIGHT_ONLY_RIDGE = 1e-2


@dataclass(frozen=True)
class Reconstruct:
    """Solve again. ``ridge``: pull towards the old weights, relative to the mean variance of a layer's inputs."""

    ridge: float = 1e-3
    name: ClassVar[str] = "reconstruct"

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Rewrite weights and biases; without a removal before it, do nothing."""
        if "dense" not in context.decisions:
            return Outcome(False, ("nothing was removed, so nothing to reconstruct",))
        if context.calibration is None:
            repaired = repair(
                graph,
                context.decisions["dense"],
                context.decisions["ranking"].channels,
                context.decisions["keep"],
                WEIGHT_ONLY_RIDGE,
            )
            return Outcome(repaired > 0, (f"no calibration data: {repaired} layers repaired from weights alone",))
        solved = _Solver(graph, context, context.calibration, self.ridge).solve()
        return Outcome(solved > 0, (f"{solved} layers re-solved",), {"layers_solved": solved})


class _Solver:
    """One sweep over the layers of a pruned graph."""

    def __init__(self, graph: Graph, context: Context, calibration: Calibration, ridge: float) -> None:
        self.graph, self.context, self.calibration, self.ridge = graph, context, calibration, ridge
        self.dense: Graph = context.decisions["dense"]
        self.channels: Channels = context.decisions["ranking"].channels
        self.surgery = Surgery(self.dense, self.channels.context, context.decisions["keep"])
        self.rng = context.rng()
        self.shapes = self._pruned_shapes()

    def _pruned_shapes(self) -> dict[str, Shape]:
        tensors = self.dense.tensors()
        return {name: self.surgery.shapes(tensors[name])[1] for name in self.channels.context.shapes if name in tensors}

    def solve(self) -> int:
        """Solve every layer whose input changed; return how many."""
        shapes = self.channels.context.shapes
        layers = linear_layers(self.graph, self.shapes)
        changed = self._changed()
        names = [layer.input for layer in layers.values()]
        batch = batch_for(self.dense, sorted(names, key=lambda n: -int(np.prod(shapes.get(n, ()))))[:8], shapes)
        final = dict.fromkeys(layers, False)
        count = 0
        with self._stepper(self.dense, batch) as old, self._stepper(self.graph, batch) as new:
            for place, (name, layer) in enumerate(layers.items()):
                self.context.progress("reconstructing", place / len(layers))
                node = self.graph.node(name)
                if name in changed and layer.fan_in <= LARGEST and writable(self.graph, node, layer):
                    target = target_of(self.graph, node, layer, final, self.shapes)
                    count += self._solve_layer(node, layer, target, old, new)
                final[name] = True
        return count

    def _stepper(self, graph: Graph, batch: int) -> Stepper:
        return Stepper(graph, self.calibration, self.context.runner, batch)

    def _changed(self) -> set[str]:
        """Name the nodes whose inputs are not what they were."""
        keep = self.surgery.keep
        changed = {end.node for end in self.channels.context.contractions if not keep[end.labels.atoms].all()}
        for node in self.graph.nodes:
            reads = (*node.inputs, *node.captures())
            if any(t.producer is not None and t.producer.name in changed for t in reads):
                changed.add(node.name)
        return changed

    def _solve_layer(self, node: Node, layer: Linear, target: Target, old: Stepper, new: Stepper) -> int:
        if target.dense not in self.channels.context.shapes:
            return 0
        old.advance([target.dense])
        new.advance([layer.input, *([target.minus] if target.minus else [])])
        if not (old.has(target.dense) and new.has(layer.input)):
            return 0
        weight = stored_weight(self.graph, node, layer)
        prior = layer.matrix(weight)
        moments = PairedMoments(*prior.shape)
        for x, y in self._pairs(layer.input, target, old, new):
            spots = spots_for(layer, x, self.calibration.samples, self.rng)
            moments.update(layer.rows(x, spots), layer.outputs(y, spots), len(x))
        matrix, bias = moments.solve(prior, self.ridge)
        write_weight(self.graph, node, layer, layer.weight(matrix, weight))
        write_bias(self.graph, node, layer, bias.ravel())
        return 1

    def _pairs(self, source: str, target: Target, old: Stepper, new: Stepper) -> Iterator[tuple[Array, Array]]:
        """Yield what the layer reads now and what it should give, batch by batch."""
        shortcut = new.pieces(target.minus) if target.minus else None
        for x, y in zip(new.pieces(source), old.pieces(target.dense), strict=True):
            wanted = self._restricted(y, target.dense)
            yield np.asarray(x), wanted - next(shortcut) if shortcut is not None else wanted

    def _restricted(self, values: Array, name: str) -> Array:
        """Keep the channels that the pruned graph still has."""
        labels = self.channels.context.labels.get(name)
        if labels is None or labels.shrink is None:
            return np.asarray(values)
        return compact(np.asarray(values), self.surgery.mask(labels), labels.shrink, name)
