"""Scan: back through its steps, by a Scan over the adjoint of its body, which reads the states before each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnx.helper

from ...graph import Graph, Tensor
from ...shapes import Shape
from ..step import Step, repeated
from .inside import fixed, inside


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
        self.graph, self.shapes = self._body()
        if not _remembers(self.graph, self.states):
            raise step.refuse("the states before each of its steps are not kept")
        self.moving = [i for i in range(self.states) if _is_float(self.graph.inputs[i])]
        self.read = [i for i in range(self.states, len(step.node.inputs)) if i in step.wanted]
        self.places: list[int | str] = [*self.moving, *step.captured, *self.read]

    def written(self) -> list[str]:
        """Write the Scan and name its outputs."""
        handed, read = _Flow(), _Flow()
        slopes: dict[str, list[str]] = {}
        for at, place in enumerate(self.moving):
            self._slope(slopes, place, handed, self.step.slopes[place], at)
        for name in self.step.captured:
            handed.add(self._zeros(self.step.shapes[name]), _declared(self.inner.name("sum"), self.step.shapes[name]))
        self._given(read)
        for place in range(self.states, len(self.step.node.outputs)):
            if self.step.slopes[place] is not None:
                self._slope(slopes, place, read, self.step.slopes[place])
        return self._node(handed, read, self._results(slopes, handed))

    def _body(self) -> tuple[Graph, Mapping[str, Shape]]:
        step = self.step
        given = [(tensor.dtype, step.shape(i)) for i, tensor in enumerate(step.node.inputs[: self.states])]
        for place, axis in enumerate(self._attribute("scan_input_axes", self.scanned)):
            tensor, shape = step.node.inputs[self.states + place], [*step.shape(self.states + place)]
            del shape[axis]
            given.append((tensor.dtype, tuple(shape)))
        return inside(step, "body", given)

    def _attribute(self, name: str, count: int) -> list[int]:
        return [int(each) for each in self.step.attribute(name) or [0] * count]

    def _slope(self, slopes: dict[str, list[str]], place: int, flow: _Flow, outside: str | None, at: int = -1) -> None:
        """Take in the slope at an output of the body: handed on where it is a state, else read step by step."""
        result = self.graph.outputs[place].name
        inside = _declared(self.inner.name("slope"), self.shapes[result])
        slopes.setdefault(result, []).append(inside.name)
        if at >= 0:
            flow.add(outside or self._zeros(self.step.shape(place)), inside)
            return
        ordinal, count = place - self.states, len(self.step.node.outputs) - self.states
        axis = self._attribute("scan_output_axes", count)[ordinal]
        direction = self._attribute("scan_output_directions", count)[ordinal]
        assert outside is not None
        flow.add(outside, inside, axis, 1 - direction)

    def _given(self, read: _Flow) -> None:
        """Read what every step read: what is scanned, and the states before it."""
        axes = self._attribute("scan_input_axes", self.scanned)
        directions = self._attribute("scan_input_directions", self.scanned)
        inputs = self.graph.inputs
        for place, axis, direction in zip(range(self.scanned), axes, directions, strict=True):
            read.add(self.step.x(self.states + place), _info(inputs[self.states + place]), axis, 1 - direction)
        for place, kept in enumerate(self.step.node.outputs[-self.states :] if self.states else []):
            read.add(kept.name, _info(inputs[place]))

    def _results(self, slopes: Mapping[str, Sequence[str]], handed: _Flow) -> list[onnx.ValueInfoProto]:
        """Go back through the body; return what it gives: slopes at states, sums, and slopes at what is scanned."""
        inputs, again, inner = self.graph.inputs, self.step.again, self.inner
        assert again is not None
        states, scanned = ([inputs[i].name for i in chosen] for chosen in (self.moving, self.read))
        totals = {name: inner.total(terms) for name, terms in slopes.items()}
        found = again(self.graph, self.shapes, inner, totals, [*states, *self.step.captured, *scanned])
        sums = [info.name for info in handed.inside[len(self.moving) :]]
        results = [found.get(name) or self._nothing(name) for name in states]
        for name, held in zip(self.step.captured, sums, strict=True):
            results.append(inner.add("Add", held, found[name]) if name in found else inner.add("Identity", held))
        results += [found.get(name) or self._nothing(name) for name in scanned]
        names = [*states, *self.step.captured, *scanned]
        return [
            _declared(inner.add("Identity", result), self.shapes[name])
            for result, name in zip(results, names, strict=True)
        ]

    def _nothing(self, name: str) -> str:
        return self.inner.constant(np.zeros(self.shapes[name], np.float32))

    def _zeros(self, shape: Shape) -> str:
        return repeated(self.step.sheet, self.step.sheet.constant(0.0), shape)

    def _node(self, handed: _Flow, read: _Flow, results: Sequence[onnx.ValueInfoProto]) -> list[str]:
        model = self.graph.to_model().graph
        nodes, stored = [*model.node, *self.inner.nodes], [*model.initializer, *self.inner.constants]
        whole = onnx.helper.make_graph(nodes, "adjoint", [*handed.inside, *read.inside], results, stored)
        axes = self._attribute("scan_input_axes", self.scanned)
        directions = self._attribute("scan_input_directions", self.scanned)
        chosen = [place - self.states for place in self.read]
        form = {
            "scan_input_axes": read.axes,
            "scan_input_directions": read.directions,
            "scan_output_axes": [axes[place] for place in chosen],
            "scan_output_directions": [1 - directions[place] for place in chosen],
        }
        given = {name: value for name, value in form.items() if value}
        return self.step.sheet.several(
            "Scan",
            [*handed.outside, *read.outside],
            len(results),
            body=whole,
            num_scan_inputs=len(read.outside),
            **given,
        )


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


def _declared(name: str, shape: Shape) -> onnx.ValueInfoProto:
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)


def _info(tensor: Tensor) -> onnx.ValueInfoProto:
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype))
    return onnx.helper.make_tensor_value_info(tensor.name, kind, fixed(tensor))
