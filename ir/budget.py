"""What one run of a model would take, estimated from shapes alone, before anything is run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import NamedTuple

import numpy as np
import onnx
import onnx.helper

from .cost import macs
from .errors import BudgetError, InvalidModelError
from .feeds import batch_size
from .graph import Graph
from .inference import inferred
from .mapped import place_of
from .memory import afford
from .quantity import scaled
from .shapes import at_sizes, declared, dimensions
from .sizes import Sizes, open_dims, shapes_at

_COPIES = 3  # of weights and of what is live: of the original, of its rewritten form, and while either is made
_MADE = 2**31  # bytes of constants that no file of this format could hold
_WORK = 10**13  # multiply-accumulates a sample
_ELEMENT = 50  # multiply-accumulates that an element which is read or written counts as
_TOGETHER = 2**29  # bytes that are live at once in a run of several samples
_OTHER = 4  # bytes of an element of unknown type


class Needs(NamedTuple):
    """Of one run: bytes of weights, bytes that are live at once, bytes of constants made of constants, work, and bytes
    of weights that lie in mapped files, of which no copies are made.

    ``work`` counts multiply-accumulates and elements. What depends on values that are not known counts nothing.
    """

    weights: int
    live: int
    made: int
    work: int
    mapped: int = 0


def check_budget(graph: Graph, batch: int = 1) -> None:
    """Raise BudgetError when runs of ``batch`` samples, where that is open, need more memory or time than they may.

    Sizes are those kept with the graph, 1 where there are none. Time: one shape inference.
    """
    try:
        needs = estimate(graph, batch)
    except InvalidModelError:
        return  # what shape inference refuses, the runner refuses, and says why
    if needs.made > _MADE:
        why = f"{scaled(float(needs.made))}B, more than a model file can hold"
        raise BudgetError("the constants that the model makes of others are too large", why=why)
    afford(needs.mapped + _COPIES * (needs.weights + needs.made + needs.live), f"a run of the model, batch {batch},")
    if needs.work > _WORK * batch:
        raise BudgetError("a run of the model takes too long", why=f"{scaled(float(needs.work))}operations")


def roomy_batch(graph: Graph, wanted: int) -> int:
    """Return how many samples one run takes: ``wanted``, fewer where their live tensors would take too much memory, or
    what the model fixes. It depends on the model and its sizes alone. Time: one shape inference.
    """
    try:
        live = estimate(graph, 1).live
    except (BudgetError, InvalidModelError):
        return batch_size(graph, wanted)
    return batch_size(graph, max(1, min(wanted, _TOGETHER // max(live, 1))))


def estimate(graph: Graph, batch: int) -> Needs:
    """Estimate one run. Raises InvalidModelError when shape inference refuses, BudgetError for inputs too large."""
    dims = declared(graph)
    known = (graph.sizes or Sizes()).of
    sizes = shapes_at(dims, {dim: known.get(dim, 1) for dim in open_dims(dims)}, batch)
    for name, shape in sizes.items():
        afford(_COPIES * _OTHER * prod(shape), f"input '{name}' {list(shape)}")
    skeleton = at_sizes(graph, sizes)
    _lend(skeleton.graph, {})
    model = inferred(skeleton)
    stored = {tensor.name: tensor.array.nbytes for tensor in graph.constants()}
    held, shapes = _bytes(model.graph), dimensions(model)
    told = {name: tuple(d if isinstance(d, int) else 0 for d in shape) for name, shape in shapes.items()}
    multiplied = sum(macs(node, told, graph.opset) for node in graph.nodes)
    elements = sum(prod(told.get(tensor.name, ())) for node in graph.nodes for tensor in node.outputs)
    mapped = sum(tensor.array.nbytes for tensor in graph.constants() if place_of(tensor.array) is not None)
    made = _made(model.graph, {*stored, *(t.name for t in model.graph.initializer)})
    return Needs(
        sum(stored.values()) - mapped,
        _live(model.graph, held, stored) + _inside(model.graph),
        sum(held.get(name, 0) for name in made),
        multiplied + _ELEMENT * elements,
        mapped,
    )


def _lend(graph: onnx.GraphProto, outer: Mapping[str, onnx.TensorProto]) -> None:
    """Give subgraphs copies of the weights that they read outside, for inference does not look there."""
    stored = {**outer, **{tensor.name: tensor for tensor in graph.initializer}}
    for attribute in (attribute for node in graph.node for attribute in node.attribute if attribute.HasField("g")):
        own = {tensor.name for tensor in attribute.g.initializer}
        read = {name for node in attribute.g.node for name in node.input} & stored.keys() - own
        attribute.g.initializer.extend(stored[name] for name in sorted(read))
        _lend(attribute.g, stored)


def _bytes(graph: onnx.GraphProto) -> dict[str, int]:
    """Return the size of every tensor whose shape is known."""
    found = {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        kind = value.type.tensor_type
        sizes = [dim.dim_value for dim in kind.shape.dim]
        if value.type.HasField("tensor_type") and kind.HasField("shape") and min(sizes, default=0) >= 0:
            found[value.name] = prod(sizes) * _width(kind.elem_type)
    return found


def _width(kind: int) -> int:
    numeric = kind and kind != onnx.TensorProto.STRING
    return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind)).itemsize if numeric else _OTHER


def _live(graph: onnx.GraphProto, held: Mapping[str, int], stored: Mapping[str, int]) -> int:
    """Return the most bytes that are live at a step; inputs and outputs are live throughout."""
    last = {name: step for step, node in enumerate(graph.node) for name in _read(node)}
    ends = {value.name for value in (*graph.input, *graph.output)} - stored.keys()
    now = most = sum(held.get(name, 0) for name in ends)
    for step, node in enumerate(graph.node):
        now += sum(held.get(name, 0) for name in node.output if name not in ends)
        most = max(most, now)
        gone = {name for name in (*_read(node), *node.output) if last.get(name, step) == step}
        now -= sum(held.get(name, 0) for name in gone - ends - stored.keys())
    return most


def _read(node: onnx.NodeProto) -> Iterator[str]:
    yield from node.input
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from _read(inner)


def _inside(graph: onnx.GraphProto) -> int:
    """Return the bytes of all tensors of subgraphs whose shapes are known."""
    inner = [attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g")]
    return sum(sum(_bytes(each).values()) + _inside(each) for each in inner)


def _made(graph: onnx.GraphProto, known: set[str]) -> set[str]:
    """Return what is computed from constants alone."""
    made: set[str] = set()
    for node in graph.node:
        if all(name in known or name in made or not name for name in _read(node)):
            made.update(node.output)
    return made
