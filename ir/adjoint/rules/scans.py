"""Scan: back through its steps, by a Scan over the adjoint of its body, which reads the states before each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnx.helper

from ...graph import Graph, Tensor
from ...shapes import Shape
from ..sheet import floats
from ..step import Step, repeated
from .inside import adjoint, fixed, inside, results, with_adjoint


def scan(step: Step) -> Mapping[int | str, str]:
    """Return the slopes at initial states, at what is scanned, and, summed over all steps, at what the body captures.

    Raises UnsupportedOpError where its last outputs are not the states before each step, which
    :func:`.lowering.scans.remember` adds.
    """
    back = _Back(step)
    found = back.written()
    return dict(zip(back.places, found, strict=True))


@dataclass
class _Flow:
    """What the steps of a Scan hand on, or read and write one by one: values outside, names inside."""

    outside: list[str] = field(default_factory=list)
    inside: list[onnx.ValueInfoProto] = field(default_factory=list)
    axes: list[int] = field(default_factory=list)
    directions: list[int] = field(default_factory=list)

    def add(self, outside: str, inside: onnx.ValueInfoProto, axis: int = 0, direction: int = 1) -> None:
        self.outside.append(outside)
        self.inside.append(inside)
        self.axes.append(axis)
        self.directions.append(direction)


class _Back:
    """The Scan that goes back through that of ``step``; ``places`` say where its outputs are slopes."""

    def __init__(self, step: Step) -> None:
        self.step, self.inner = step, step.sheet.inner()
        self.scanned = int(step.attribute("num_scan_inputs"))
        self.states = len(step.node.inputs) - self.scanned
        self.ins = self._order("input", self.scanned)
        self.outs = self._order("output", len(step.node.outputs) - self.states)
        self.graph, self.shapes = self._body()
        if not _remembers(self.graph, self.states):
            raise step.refuse("the states before each of its steps are not kept")
        self.moving = [i for i in range(self.states) if _is_float(self.graph.inputs[i])]
        self.read = [i for i in range(self.states, len(step.node.inputs)) if i in step.wanted]
        self.places: list[int | str] = [*self.moving, *step.captured, *self.read]

    def written(self) -> list[str]:
        """Write the Scan and name its outputs."""
        handed, read, slopes = _Flow(), _Flow(), list[tuple[str, str]]()
        for place in self.moving:
            end = self.step.slopes[place] or self._zeros(self.step.shape(place))
            handed.add(end, self._slope(slopes, place))
        sums = {name: floats(self.inner.name("sum"), self.step.shapes[name]) for name in self.step.captured}
        for name, total in sums.items():
            handed.add(self._zeros(self.step.shapes[name]), total)
        self._given(read)
        for place, order in enumerate(self.outs, self.states):
            slope = self.step.slopes[place]
            if slope is not None:
                read.add(slope, self._slope(slopes, place), *order)
        return self._node(handed, read, self._results(slopes, {name: each.name for name, each in sums.items()}))

    def _order(self, side: str, count: int) -> list[tuple[int, int]]:
        """Return the axis that is scanned, and the direction of the way back, of every input or output."""
        axes, directions = (
            self.step.attribute(f"scan_{side}_{name}") or [0] * count for name in ("axes", "directions")
        )
        return [(int(axis), 1 - int(direction)) for axis, direction in zip(axes, directions, strict=True)]

    def _body(self) -> tuple[Graph, Mapping[str, Shape]]:
        step = self.step
        given = [(tensor.dtype, step.shape(i)) for i, tensor in enumerate(step.node.inputs[: self.states])]
        for place, (axis, _) in enumerate(self.ins, self.states):
            shape = [*step.shape(place)]
            del shape[axis]
            given.append((step.node.inputs[place].dtype, tuple(shape)))
        return inside(step, "body", given)

    def _slope(self, slopes: list[tuple[str, str]], place: int) -> onnx.ValueInfoProto:
        """Declare what brings the slope at an output of the body in, and note it among ``slopes``."""
        result = self.graph.outputs[place].name
        brought = floats(self.inner.name("slope"), self.shapes[result])
        slopes.append((result, brought.name))
        return brought

    def _given(self, read: _Flow) -> None:
        """Read what every step read: what is scanned, and the states before it."""
        inputs, kept = self.graph.inputs, self.step.node.outputs[len(self.step.node.outputs) - self.states :]
        for place, order in enumerate(self.ins, self.states):
            read.add(self.step.x(place), _info(inputs[place]), *order)
        for place, states in enumerate(kept):
            read.add(states.name, _info(inputs[place]))

    def _results(self, slopes: Sequence[tuple[str, str]], sums: Mapping[str, str]) -> list[onnx.ValueInfoProto]:
        """Go back through the body; return what it gives: slopes at states, sums, and slopes at what is scanned."""
        states, scanned = ([self.graph.inputs[i].name for i in chosen] for chosen in (self.moving, self.read))
        names = [*states, *self.step.captured, *scanned]
        found = adjoint(self.step, self.graph, self.shapes, self.inner, slopes, names)
        for name, total in sums.items():
            found[name] = self.inner.add("Add", total, found[name])
        return results(self.inner, [found[name] for name in names], [self.shapes[name] for name in names])

    def _zeros(self, shape: Shape) -> str:
        return repeated(self.step.sheet, self.step.sheet.constant(0.0), shape)

    def _node(self, handed: _Flow, read: _Flow, given: Sequence[onnx.ValueInfoProto]) -> list[str]:
        whole = with_adjoint(self.graph, self.inner, [*handed.inside, *read.inside], given)
        orders = [self.ins[place - self.states] for place in self.read]
        form = {
            "scan_input_axes": read.axes,
            "scan_input_directions": read.directions,
            "scan_output_axes": [axis for axis, _ in orders],
            "scan_output_directions": [direction for _, direction in orders],
        }
        form = {name: value for name, value in form.items() if value}
        flows = [*handed.outside, *read.outside]
        count = len(read.outside)
        return self.step.sheet.several("Scan", flows, len(given), body=whole, num_scan_inputs=count, **form)


def _remembers(graph: Graph, states: int) -> bool:
    """Whether the last outputs of a body are its states as a step begins."""
    kept = [tensor.producer for tensor in graph.outputs[len(graph.outputs) - states :]]
    begun = graph.inputs[:states]
    return len(graph.outputs) >= 2 * states and all(
        node is not None and node.op == "Identity" and node.inputs[0] == state
        for node, state in zip(kept, begun, strict=True)
    )


def _is_float(tensor: Tensor) -> bool:
    return bool(tensor.dtype == np.float32)


def _info(tensor: Tensor) -> onnx.ValueInfoProto:
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
    return onnx.helper.make_tensor_value_info(tensor.name, kind, fixed(tensor))
