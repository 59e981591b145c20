"""The ends of a network: its inputs in the layouts that the first pictures need, and its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from ....ir.errors import LoweringError
from ....ir.graph import Graph, Node, Tensor
from ....ir.shapes import declared
from ....ir.sizes import named
from ..network import Input, Layer, Shape
from ..ports import Port
from .build import Build, Value, channels_first, refusal
from .operators import MOVEMENT, PICTURES
from .selection import image_of, whole
from .views import Ints, find

_MESSAGE = "the network cannot be lowered to streaming hardware"


def the_inputs(graph: Graph) -> list[Tensor]:
    """Return the inputs that are read. Raises LoweringError for none, or sizes but the batch that nobody says."""
    inputs = [tensor for tensor in graph.inputs if tensor.consumers or graph.is_output(tensor)]
    if not inputs:
        raise LoweringError(_MESSAGE, why="it reads no input", hint="give it one")
    said = graph.sizes.said if graph.sizes else {}
    for tensor in inputs:
        shape = tensor.shape or ()
        if len(shape) < 2:
            why = f"input '{tensor.name}' has shape {tuple(shape)}"
            raise LoweringError(_MESSAGE, why=why, hint="give it a first axis for the batch")
        if not all(dim in said for dim in named(declared(graph))[tensor.name] if isinstance(dim, str)):
            why = f"input '{tensor.name}' has open sizes {tuple(shape)}"
            raise LoweringError(_MESSAGE, why=why, hint="fix every size but the batch, or give --input-shape or --data")
    return inputs


def place_input(build: Build, tensor: Tensor, sizes: Shape, nodes: list[Node]) -> None:
    """Add the layer of the input, such that the first convolution or pool finds a picture, channels last."""
    trial = Value(Input("trial", (), (prod(sizes),), tensor.name), np.arange(prod(sizes)).reshape(sizes))
    shape, order = _layout(sizes, _first_picture(build, {tensor.name: trial}, nodes))
    port = Port(tensor.name, shape, order.reshape(sizes[1:]))
    layer = build.add(Input(tensor.name, (), shape, tensor.name, port))
    build.values[tensor.name] = Value(layer, order.reshape(sizes))


def _first_picture(build: Build, seen: dict[str, Value], nodes: list[Node]) -> Ints | None:
    """Follow the input to the first convolution, pool or product of many rows: its places (C, H, W), None without any.

    Where it cannot be followed so far, the input itself is taken for a picture, channels first.
    """
    trial = Build(build.graph, build.known)
    (start,) = seen.values()
    trial.values = seen
    for node in nodes:
        value = seen.get(node.inputs[0].name)
        if value is None:
            continue
        if node.op in PICTURES:
            return image_of(value.places, last=False)
        if node.op == "MatMul" and value.places.ndim > 2:
            return image_of(value.places, last=True)
        if node.op in MOVEMENT:
            trial.record(node, MOVEMENT[node.op](trial, node))
        elif build.known.get(node.outputs[0].name) == value.places.shape:
            trial.record(node, value)
    found = any(node.op in PICTURES for node in nodes)
    return image_of(start.places, last=False) if found else None


def _layout(sizes: Shape, places: Ints | None) -> tuple[Shape, Ints]:
    """Return the shape of the input's layer, and where in it each element of the tensor lies."""
    size = prod(sizes)
    if places is not None and np.array_equal(np.sort(places, axis=None), np.arange(size)):
        order = np.empty(size, np.int64)
        shape = (*places.shape[1:], places.shape[0])
        order[places.ravel()] = channels_first(shape).ravel()
        return shape, order
    if places is not None:
        for shape, order in _pictures(sizes):
            if find(_through(places, order), shape):
                return shape, order
    return (size,), np.arange(size)


def _pictures(sizes: Shape) -> list[tuple[Shape, Ints]]:
    """List the layouts of a tensor (1, …) that is a picture, channels first or last."""
    if len(sizes) not in (3, 4):
        return []
    first: Shape = (*(1, *sizes[2:])[-2:], sizes[1])
    last: Shape = (1, *sizes[1:])[-3:]
    return [(first, channels_first(first).ravel()), (last, np.arange(prod(last)))]


def _through(places: Ints, order: Ints) -> Ints:
    """Places in the tensor, as places in a layer that keeps its elements in another order."""
    return np.asarray(np.where(places < 0, -1, order[places]))


def place_outputs(build: Build, sources: Mapping[str, Node | None]) -> tuple[tuple[str, ...], tuple[Port, ...]]:
    """Return the layers of the outputs and the way back from them. Raises LoweringError for one without batch."""
    layers: list[Layer] = []
    ports: list[Port] = []
    for name, node in sources.items():
        if node is None:
            raise LoweringError(_MESSAGE, why=f"output '{name}' is not computed", hint="remove the output")
        value = whole(build, node, build.values[name])
        if value.places.shape[:1] != (1,):
            raise refusal(node, f"its output '{name}' has no batch", "keep the batch as first axis")
        layers.append(value.layer)
        ports.append(Port(name, value.layer.shape, value.places[0]))
    return tuple(layer.name for layer in layers), tuple(ports)
