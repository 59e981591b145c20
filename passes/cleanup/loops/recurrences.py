"""Loops that are GRU, LSTM or RNN layers, as Keras is exported: written as these operators, whose units can go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from ....ir.arguments import axis as axis_of
from ....ir.graph import Dim, Graph, Node, Tensor
from ....ir.shapes import symbolic
from ..reversals import turned
from ..sequences import ranked
from ..shape_values import shape_values
from ..zero_states import is_zero
from .cells import Cell, gated, simple, with_memory
from .steps import Value, computed
from .terms import Given, Sum, Unlike
from .walks import Count, Walk, same, walk

_RANK = 3  # of a sequence
_BACKWARDS = 10  # the operator set since which a Slice may go backwards

Shapes = Mapping[str, tuple[Dim, ...]]


class _Sequence(NamedTuple):
    """What a step reads an element of: (samples, features) at each place of ``axis``, from the end if ``reverse``."""

    tensor: Tensor
    axis: int
    reverse: bool


class _Reading:
    """The layers that a Loop holds.

    ``cells``: by the tensor of the body that hands on their state, in order. ``sequences``: what is read, by element.
    """

    def __init__(self, graph: Graph, loop: Walk, shapes: Shapes) -> None:
        self._opset, self._walk, self._shapes = graph.opset, loop, shapes
        self._states: dict[Tensor, Given] = {}
        for state, (first, _) in loop.states.items():
            dims = shapes.get(first.name, ())
            if len(dims) == 2 and isinstance(dims[1], int) and loop.origin(state) == state:
                self._states[state] = Given(dims[1], state)
        self._values: dict[Tensor, Value] = {state: Sum.of(given) for state, given in self._states.items()}
        self.sequences: dict[Given, _Sequence] = {}
        self.cells: dict[Tensor, Cell] = {}
        for node in loop.nodes:
            self._follow(node)

    def first(self, state: Given) -> Tensor:
        """Return what a state starts from."""
        return self._walk.states[state.tensor][0]

    def following(self, state: Given) -> Tensor:
        """Return what a state becomes."""
        return same(self._walk.states[state.tensor][1])

    def batch(self, cell: Cell) -> Dim:
        """Return how many samples a layer sees."""
        while cell.source not in self.sequences:
            cell = self.cells[cell.source.tensor]
        sequence = self.sequences[cell.source]
        return self._shapes[sequence.tensor.name][1 - sequence.axis]

    def _follow(self, node: Node) -> None:
        """Note what a node of the body computes, as far as that is known, and the layer that ends there."""
        try:
            made = [self._element(node)] if node.op == "Gather" else self._computed(node)
        except (Unlike, ValueError):  # or shapes that do not fit, in a step that is never taken
            return
        for tensor, value in zip(node.outputs, made, strict=False):
            self._values[tensor] = self._closed(tensor, value) if isinstance(value, Sum) else value

    def _computed(self, node: Node) -> list[Value]:
        return computed(node, [self._value(tensor) for tensor in node.inputs], self._opset)

    def _value(self, tensor: Tensor) -> Value:
        source = self._walk.origin(tensor)
        if source.is_constant:
            return source.array
        if source not in self._values:
            raise Unlike
        return self._values[source]

    def _element(self, node: Node) -> Sum:
        tensor, count = self._walk.origin(node.inputs[0]), self._walk.count(node.inputs[1])
        dims, total = self._shapes.get(tensor.name, ()), self._walk.total
        axis = axis_of(node, self._opset, len(dims))
        if len(dims) != _RANK or axis == _RANK - 1 or dims[axis] != total or not isinstance(dims[-1], int):
            raise Unlike
        if tensor.dtype != np.float32:
            raise Unlike
        last = Count(-1, 0, total - 1) if isinstance(total, int) else Count(-1, 1, -1)
        if count not in (Count(1, 0, 0), last) or (count == last and self._opset < _BACKWARDS):
            raise Unlike
        sequence = _Sequence(tensor, axis, count != Count(1, 0, 0))
        known = (given for given, other in self.sequences.items() if other == sequence)
        element = next(known, None) or Given(dims[-1], tensor)
        self.sequences[element] = sequence
        return Sum.of(element)

    def _closed(self, tensor: Tensor, value: Sum) -> Sum:
        """See whether a layer ends here: what else reads its output sees no further."""
        for state in self._states.values():
            if self.following(state) != tensor or value.width != state.width:
                continue
            for way in self._ways(state, value):
                try:
                    cell = way()
                except Unlike:
                    continue
                if cell.source in self.sequences or cell.source.tensor in self.cells:
                    self.cells[tensor] = cell
                    return Sum.of(Given(value.width, tensor))
        return value

    def _ways(self, state: Given, value: Sum) -> Iterator[Callable[[], Cell]]:
        yield partial(simple, state, value)
        yield partial(gated, state, value)
        for memory in self._states.values():
            remembered = self._values.get(self.following(memory))
            if isinstance(remembered, Sum):
                yield partial(with_memory, state, memory, value, remembered)


def write_recurrences(graph: Graph) -> int:
    """Write every Loop that is recurrent layers as these; return how many Loops went.

    Each step reads one element of a sequence, in order or from the end, and computes states by the equations of the
    operators, however these are written; the number of steps is the length of the sequence, and the condition says no
    more. A Loop that differs, as one that skips masked steps, stays.
    """
    loops = [node for node in graph.nodes if node.op == "Loop" and not node.domain]
    shapes = symbolic(graph) if loops else {}
    written = 0
    for node in loops:
        try:
            loop = walk(graph, node, shape_values(graph, shapes))
            _write(graph, node, loop, _Reading(graph, loop, shapes), shapes)
        except Unlike:
            continue
        written, shapes = written + 1, symbolic(graph)
    return written


class _Result(NamedTuple):
    """A result of the Loop: what the body hands on for it, at all steps or at the last."""

    tensor: Tensor
    handed: Tensor
    all_steps: bool


def _write(graph: Graph, node: Node, loop: Walk, reading: _Reading, shapes: Shapes) -> None:
    """Put layers in a Loop's place. Raises Unlike, before anything is written, where one of its results is no state."""
    results = _results(graph, node, loop)
    last = {cell.states[0]: handed for handed, cell in reading.cells.items()}
    last |= {memory: reading.following(memory) for cell in reading.cells.values() for memory in cell.states[1:]}
    if not all(r.handed in (reading.cells if r.all_steps else last.values()) for r in results):
        raise Unlike
    starts = {state: _start(reading, cell, state, shapes) for cell in reading.cells.values() for state in cell.states}
    made: dict[tuple[Tensor, bool], Tensor] = {}
    for handed, cell in reading.cells.items():
        sequence = reading.sequences.get(cell.source)
        x = made[cell.source.tensor, True] if sequence is None else _in_order(graph, node, sequence)
        outputs = _layer(graph, node, cell, x, [starts[state] for state in cell.states])
        made[handed, True] = ranked(graph, node, "Squeeze", outputs[0], 1)
        made |= {(last[state], False): output for state, output in zip(cell.states, outputs[1:], strict=True)}
    for result in results:
        end = made[result.handed, result.all_steps]
        end = end if result.all_steps else ranked(graph, node, "Squeeze", end, 0)
        graph.insert("Identity", [end], [result.tensor], before=node)
    graph.remove(node)


def _results(graph: Graph, node: Node, loop: Walk) -> list[_Result]:
    """Return the results that are read."""
    ends = [same(following) for _, following in loop.states.values()]
    handed = [*ends, *map(same, loop.collected)]
    found = [_Result(t, handed[place], place >= len(ends)) for place, t in enumerate(node.outputs) if t.name]
    return [result for result in found if result.tensor.consumers or graph.is_output(result.tensor)]


def _start(reading: _Reading, cell: Cell, state: Given, shapes: Shapes) -> Tensor:
    """Return what a state starts from, absent where that is zero; Unlike unless it has a row for every sample."""
    first, batch = reading.first(state), reading.batch(cell)
    rows, zero = shapes[first.name][0], is_zero(first)
    if rows is None or rows not in ((batch, 1) if zero else (batch,)):
        raise Unlike
    return Tensor.absent() if zero else first


def _in_order(graph: Graph, node: Node, sequence: _Sequence) -> Tensor:
    """Return a sequence as (steps, samples, features), in the order of the steps."""
    x = sequence.tensor
    if sequence.axis:
        moved = graph.variable(f"{x.name}_steps", x.dtype)
        graph.insert("Transpose", [x], [moved], {"perm": [1, 0, 2]}, before=node)
        x = moved
    return turned(graph, node, x, 0) if sequence.reverse else x


def _layer(graph: Graph, node: Node, cell: Cell, x: Tensor, starts: list[Tensor]) -> list[Tensor]:
    """Insert a layer; return all its outputs."""
    weight, recurrence, bias = cell.weights
    inputs = [x, graph.constant(f"{node.name}_w", weight), graph.constant(f"{node.name}_r", recurrence)]
    given = [start if not start.name else ranked(graph, node, "Unsqueeze", start, 0) for start in starts]
    inputs.append(graph.constant(f"{node.name}_b", bias) if bias.any() else Tensor.absent())
    inputs += [Tensor.absent(), *given]
    while not inputs[-1].name:
        inputs.pop()
    outputs = [graph.variable(f"{node.name}_{cell.op}", x.dtype) for _ in range(len(starts) + 1)]
    graph.insert(cell.op, inputs, outputs, cell.attributes, before=node)
    return outputs
