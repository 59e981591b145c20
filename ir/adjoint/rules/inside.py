"""Subgraphs as graphs that reverse accumulation runs on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx
import onnx.helper

from ...bodies import Typed, body
from ...graph import Graph, Tensor
from ...shapes import Shape, concrete, settled
from ..lowering.lowered import lowered
from ..sheet import Sheet, floats
from ..step import Step, is_real


def inside(step: Step, name: str, given: Sequence[Typed] = ()) -> tuple[Graph, Mapping[str, Shape]]:
    """Return a subgraph by its attribute's name, and all its shapes; what it captures are inputs after its own.

    ``given``: element type and shape of its own inputs. Raises UnsupportedOpError where a shape is not known, and
    where it reads other floats than float32.
    """
    try:
        graph = body(step.graph, step.node, name, given, step.shapes)
    except KeyError as error:
        raise step.refuse(f"the shape of {error} is not known") from error
    odd = next((tensor for tensor in graph.inputs if is_real(tensor.dtype) and tensor.dtype != "float32"), None)
    if odd is not None:
        raise step.refuse(f"its body reads '{odd.name}' of {odd.dtype}, and gradients are in float32")
    sizes = {tensor.name: fixed(tensor) for tensor in graph.inputs}
    graph = lowered(graph, concrete(graph, sizes), step.sheet)
    shapes = concrete(graph, sizes)
    graph = settled(graph, shapes)
    unknown = next((tensor.name for tensor in graph.outputs if tensor.name not in shapes), None)
    if unknown:
        raise step.refuse(f"the shape of '{unknown}' is not known")
    return graph, shapes


def adjoint(
    step: Step,
    graph: Graph,
    shapes: Mapping[str, Shape],
    sheet: Sheet,
    slopes: Iterable[tuple[str, str]],
    wanted: Sequence[str],
) -> dict[str, str]:
    """Go back through a subgraph from pairs of an output and a slope at it; zeros where nothing depends on a tensor.

    An output that is given more than once has several slopes. ``wanted`` may be more than the subgraph reads.
    """
    gathered: dict[str, list[str]] = {}
    for name, slope in slopes:
        gathered.setdefault(name, []).append(slope)
    assert step.again is not None
    found = step.again(graph, shapes, sheet, {name: sheet.total(terms) for name, terms in gathered.items()}, wanted)
    for name in wanted:
        if name not in found:
            found[name] = sheet.constant(np.zeros({**step.shapes, **shapes}[name], np.float32))
    return found


def results(sheet: Sheet, values: Sequence[str], shapes: Sequence[Shape]) -> list[onnx.ValueInfoProto]:
    """Declare outputs of a subgraph, each under a name of its own."""
    return [floats(sheet.add("Identity", each), shape) for each, shape in zip(values, shapes, strict=True)]


def with_adjoint(
    graph: Graph, sheet: Sheet, given: Sequence[onnx.ValueInfoProto], found: Sequence[onnx.ValueInfoProto]
) -> onnx.GraphProto:
    """Put together what a subgraph computes and what is on its sheet."""
    body = graph.to_model().graph
    stored = [*body.initializer, *sheet.constants]
    return onnx.helper.make_graph([*body.node, *sheet.nodes], "adjoint", given, found, stored)


def fixed(tensor: Tensor) -> Shape:
    """Return the dimensions of an input, all of them numbers."""
    return tuple(int(size) for size in tensor.shape or () if isinstance(size, int))
