"""Subgraphs as graphs that reverse accumulation runs on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...arithmetic import store_lists
from ...bodies import Typed, body
from ...graph import Graph, Tensor
from ...shapes import Shape, concrete
from ..lowering.lowered import lowered
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
    shapes, model = concrete(graph, sizes), graph.to_model()
    if store_lists(model, shapes):
        graph = Graph.of(model)
    unknown = next((tensor.name for tensor in graph.outputs if tensor.name not in shapes), None)
    if unknown:
        raise step.refuse(f"the shape of '{unknown}' is not known")
    return graph, shapes


def fixed(tensor: Tensor) -> Shape:
    """Return the dimensions of an input, all of them numbers."""
    return tuple(int(size) for size in tensor.shape or () if isinstance(size, int))
