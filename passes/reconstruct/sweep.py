"""One sweep over the layers of a pruned graph, front to back: inputs as they are now, targets from the original."""

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from ...ir.feeds import Calibration
from ...ir.graph import Array, Graph, Node
from ...ir.shapes import Shape, concrete, input_sizes
from ..analysis.channels.origins import shape_after
from ..analysis.layers.forms import Written
from ..analysis.layers.linear import Linear, linear_layers, stored_weight
from ..analysis.layers.writing import writable, write_bias, write_weight
from ..analysis.statistics.input_moments import LARGEST, batch_for, spots_for
from ..analysis.statistics.rarity import places
from ..analysis.statistics.stepper import Stepper
from ..base import Context
from .alternation import WIDEST, Alternation, held_apart, may_lead
from .chain import chain_from
from .derivatives import Derivatives
from .paired import PairedMoments
from .recurrent import Cell, cells, gates, matrix, write
from .reform import refitted, write_again
from .regression_target import RegressionTarget, end_of, target_of


class Sweep:
    """Solves layer after layer. ``rounds`` times ``steps``: how long a layer is fitted to its chain's output."""

    def __init__(
        self, graph: Graph, context: Context, calibration: Calibration, ridge: float, rounds: int, steps: int
    ) -> None:
        self.graph, self.context, self.calibration, self.ridge = graph, context, calibration, ridge
        self.rounds, self.steps = rounds, steps
        plan = context.plan
        assert plan.reference is not None
        self.reference, self.kept, self.formed, self.written = plan.reference, plan.kept, plan.formed, plan.written
        self.dense = plan.reference.graph
        self.reads = {node.name: [tensor.name for tensor in node.inputs] for node in self.dense.nodes}
        self.rng = context.rng()
        self.shapes = concrete(graph, input_sizes(graph, 1)) | self._shapes_after()
        self.layers = linear_layers(graph, self.shapes)
        self.cells = cells(graph, self.shapes)
        self.inner = {node for name, form in self.written.items() for node in form.nodes if node != name}
        self.places = places(self.dense, calibration, context.runner)
        self.final = dict.fromkeys((*self.layers, *self.cells), False)

    def solve(self) -> tuple[int, int]:
        """Solve every layer whose input changed; return how many, and how many of them with their chain."""
        shapes = self.reference.channels.context.shapes
        changed = self._changed()
        names = [layer.input for layer in self.layers.values()]
        batch = batch_for(self.dense, sorted(names, key=lambda n: -int(np.prod(shapes.get(n, ()))))[:8], shapes)
        count = chained = 0
        with self._stepper(self.dense, batch) as old, self._stepper(self.graph, batch) as new:
            order = [node.name for node in self.graph.nodes if node.name in self.final]
            for place, name in enumerate(order):
                self.context.progress("reconstructing", place / len(order))
                layer, cell = self.layers.get(name), self.cells.get(name)
                if name in changed and layer is not None:
                    fit, solved = self._solve_one(self.graph.node(name), layer, old, new)
                    count += solved
                    chained += fit is not None and self._solve_chain(name, layer, fit, old, new)
                elif name in changed and cell is not None:
                    count += self._solve_cell(self.graph.node(name), cell, old, new)
                self.final[name] = True
        return count, chained

    @cached_property
    def by_sample(self) -> set[str]:
        """Name the tensors whose first axis, and no other, counts samples."""
        one, two = (concrete(self.graph, input_sizes(self.graph, batch)) for batch in (1, 2))
        return {name for name in one if two.get(name) in _alike(one[name])}

    def _shapes_after(self) -> dict[str, Shape]:
        """Return the shapes of what is left of the reference's tensors, where it is known."""
        tensors, shapes = self.dense.tensors(), self.reference.channels.context.shapes
        found = {name: shapes[name] for name in shapes if name in tensors and self.kept.get(name, True) is not None}
        lost = {name: origin for name, origin in self.kept.items() if origin is not None and name in found}
        return found | {name: shape_after(found[name], origin) for name, origin in lost.items()}

    def _moved(self) -> set[str]:
        """Name the layers that read something else than in the reference: parts of what once was one layer."""
        own = self.inner | set(self.written)
        return {name for name, layer in self.layers.items() if layer.input not in self.reads.get(name, ())} - own

    def _stepper(self, graph: Graph, batch: int) -> Stepper:
        return Stepper(graph, self.calibration, self.context.runner, batch)

    def _changed(self) -> set[str]:
        """Name the nodes whose inputs are not what they were."""
        ends = self.reference.channels.context.contractions
        changed = {end.node for end in ends if self.reads[end.node][end.operand] in self.kept}
        changed |= self.formed | self._moved()
        for node in self.dense.nodes:
            reads = (*node.inputs, *node.captures())
            if any(t.producer is not None and t.producer.name in changed for t in reads):
                changed.add(node.name)
        return changed

    def _solve_one(self, node: Node, layer: Linear, old: Stepper, new: Stepper) -> tuple[PairedMoments | None, bool]:
        """Fit a layer, as it stands or in its form; return the fit, if a chain may start from it, and whether it was.

        A form of several nodes is fitted as a whole first; where its own node is the last of them, that one then is.
        """
        written = self.written.get(node.name)
        if written is None:
            able = layer.fan_in <= LARGEST and writable(self.graph, node, layer)
            fit = self._solve_layer(node, layer, old, new) if able else None
            return fit, fit is not None
        same = written.layer.output in (node.outputs[0].name, end_of(self.graph, node, layer).name)
        alone = same and len(written.nodes) == 1
        solved = alone or self._solve_form(node, written, old, new)
        source = node.inputs[0].producer
        last = same and source is not None and source.name in written.nodes
        fit = self._solve_layer(node, layer, old, new) if solved and (alone or last) else None
        return fit, solved

    def _solve_form(self, node: Node, written: Written, old: Stepper, new: Stepper) -> bool:
        """Fit a layer of several nodes in its form."""
        out = self.graph.tensors()[written.layer.output]
        if out == node.outputs[0]:
            out = end_of(self.graph, node, written.layer)  # with the bias, which is solved too
        target = target_of(self.graph, out, self.final, self.shapes)
        found = self._paired(written.layer, target, old, new)
        if found is None:
            return False
        again, bias = refitted(written, found, self.ridge)
        write_again(self.graph, again)
        write_bias(self.graph, node, written.layer, again.bias(bias))
        return True

    def _solve_layer(self, node: Node, layer: Linear, old: Stepper, new: Stepper) -> PairedMoments | None:
        """Fit a layer to its target by least squares; None where the target is out of reach."""
        target = target_of(self.graph, end_of(self.graph, node, layer), self.final, self.shapes)
        found = self._paired(layer, target, old, new)
        if found is not None:
            matrix, bias = found.solve(layer.matrix(stored_weight(self.graph, node, layer)), self.ridge)
            self._write(node, layer, matrix, bias.ravel())
        return found

    def _solve_cell(self, node: Node, cell: Cell, old: Stepper, new: Stepper) -> bool:
        """Fit what a recurrent layer reads to what its gates got from it in the original; say whether it was."""
        before = next((each for each in self.dense.nodes if each.name == node.name and each.op == node.op), None)
        source = RegressionTarget(before.inputs[0].name if before is not None else "")
        if before is None or cell.layer.fan_in > LARGEST or not self._reach(source, cell.layer.input, old, new):
            return False
        shapes = self.reference.channels.context.shapes
        first = next(tensor.name for tensor in before.outputs if tensor.name)
        wanted = gates(before, self.kept.get(first), shapes[first], self.dense.opset).astype(np.float32)
        moments = PairedMoments(1, cell.layer.fan_in, cell.layer.fan_out)
        for x, full in zip(new.pieces(cell.layer.input), old.pieces(source.dense), strict=True):
            moments.update(cell.rows(x), cell.rows(full) @ wanted, cell.samples(x))
        solved, bias = moments.solve(matrix(node)[None], self.ridge)
        write(self.graph, node, solved[0], bias[0])
        return True

    def _paired(self, layer: Linear, target: RegressionTarget, old: Stepper, new: Stepper) -> PairedMoments | None:
        """Pair what a layer reads with its target; None where that is out of reach."""
        if not self._reach(target, layer.input, old, new):
            return None
        moments, seen = PairedMoments(layer.groups, layer.fan_in, layer.fan_out), 0
        for x, y in self._pairs(layer.input, target, old, new):
            spots = spots_for(layer, x, self.calibration.samples, self.rng)
            read = layer.rows(x, spots)
            moments.update(read, layer.outputs(y, spots), len(x), self._times(layer, x, read, spots, seen))
            seen += len(x)
        return moments

    def _times(self, layer: Linear, x: Array, read: Array, spots: Array | None, seen: int) -> Array | None:
        """Return how often each row counts that a batch has given, after ``seen`` samples; None for once."""
        if self.places is None or layer.input not in self.by_sample:
            return None
        walk = layer.geometry
        positions = walk.positions(x.shape[2:]) if walk is not None else read.shape[1] // len(x)
        return self.places.of_rows(seen, len(x), positions, spots)

    def _solve_chain(self, name: str, layer: Linear, moments: PairedMoments, old: Stepper, new: Stepper) -> bool:
        """Fit a layer to what the next dense layer should give, where only activations lie between them."""
        if not self.rounds or not may_lead(layer):
            return False
        node, chain = self.graph.node(name), chain_from(self.graph, self.layers, self.shapes, layer, self.inner)
        if chain is None or chain.last.fan_in > WIDEST or stored_weight(self.graph, node, layer).dtype != np.float32:
            return False
        end = end_of(self.graph, self.graph.node(chain.last.node), chain.last)
        target = target_of(self.graph, end, self.final, self.shapes)
        if not self._reach(target, layer.input, old, new):
            return False
        links = Derivatives(self.graph, chain, self.shapes, self.context.runner)
        pairs = self._pairs(layer.input, target, old, new)
        pieces = held_apart(layer, pairs, self.calibration.samples, self.rng)
        alternation = Alternation(self.graph, chain, links, pieces, self.rounds, self.steps, self.rng)
        self._write(node, layer, *alternation.first(moments, self.ridge))
        return True

    def _reach(self, target: RegressionTarget, source: str, old: Stepper, new: Stepper) -> bool:
        """Step both graphs so far that a layer's input and its target are at hand."""
        if target.dense not in self.reference.channels.context.shapes or self.kept.get(target.dense, True) is None:
            return False
        old.advance([target.dense])
        new.advance([source, *([target.minus] if target.minus else [])])
        return old.has(target.dense) and new.has(source)

    def _write(self, node: Node, layer: Linear, matrix: Array, bias: Array) -> None:
        write_weight(self.graph, node, layer, layer.weight(matrix, stored_weight(self.graph, node, layer)))
        write_bias(self.graph, node, layer, bias)

    def _pairs(
        self, source: str, target: RegressionTarget, old: Stepper, new: Stepper
    ) -> Iterator[tuple[Array, Array]]:
        """Yield what a layer reads now and what it, or its chain, should give, batch by batch."""
        shortcut = new.pieces(target.minus) if target.minus else None
        for x, y in zip(new.pieces(source), old.pieces(target.dense), strict=True):
            wanted = self._restricted(y, target.dense)
            yield np.asarray(x), wanted - next(shortcut) if shortcut is not None else wanted

    def _restricted(self, values: Array, name: str) -> Array:
        """Keep the channels that the pruned graph still has."""
        origin = self.kept.get(name)
        return np.asarray(values) if origin is None else origin.restrict(np.asarray(values))


def _alike(one: Shape) -> tuple[Shape, ...]:
    """Return what shapes two samples may have, given that of one, where the first axis and no other counts samples."""
    return (one, (2, *one[1:])) if one[:1] == (1,) else ()
