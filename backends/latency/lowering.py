"""What onnxruntime makes of a graph: it is optimised and run under the profiler, and each node read as a unit."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnx.helper

from ...ir.feeds import random_feeds
from ...ir.graph import Graph
from ...ir.scratch import scratch
from ..ort.profiler import Events, by_node, events, seconds
from ..ort.sessions import OPTIMISED
from .execution import Execution
from .units import BLOCKED, NodeSpec, Operand, Unit, unit_of

_TYPES = {"float": "float32", "double": "float64"}


def lowered(graph: Graph, target: Execution, runs: int = 1) -> list[tuple[Unit, float]]:
    """Return the units that a graph becomes, each with its kernel's seconds in ``runs`` runs on random inputs.

    Raises InvalidModelError when onnxruntime refuses the model.
    """
    block = block_size(target.provider)
    return [(unit_of(form, block), time) for form, time in _forms(graph, target, runs)]


@cache
def block_size(provider: str) -> int:
    """Return how many channels a block of onnxruntime's blocked layout holds on this machine, 1 without one."""
    graph = Graph.empty(13)
    x, y = graph.variable("x", np.float32), graph.variable("y", np.float32)
    graph.insert("Conv", [x, graph.constant("w", np.ones((4, 4, 1, 1), np.float32))], [y])
    graph.set_inputs([x])
    graph.set_outputs([y])
    model = graph.to_model()
    model.graph.input[0].CopyFrom(onnx.helper.make_tensor_value_info(x.name, onnx.TensorProto.FLOAT, (1, 4, 4, 4)))
    forms = _run(model, {}, {x.name: np.ones((1, 4, 4, 4), np.float32)}, Execution(provider=provider), 1)
    weights = [form.operands[1] for form, _ in forms if form.domain == BLOCKED and form.op == "Conv"]
    return weights[0].shape[0] if weights and weights[0] else 1


def _forms(graph: Graph, target: Execution, runs: int) -> list[tuple[NodeSpec, float]]:
    feeds = random_feeds(graph, np.random.default_rng(0), target.batch)
    model, large = graph.light()
    for value in model.graph.input:
        del value.type.tensor_type.shape.dim[:]
        for size in feeds[value.name].shape:
            value.type.tensor_type.shape.dim.add().dim_value = size
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    return _run(model, large, feeds, target, runs)


def _run(model: onnx.ModelProto, large: Any, feeds: Any, target: Execution, runs: int) -> list[tuple[NodeSpec, float]]:
    with scratch() as folder:
        session = target.runner(folder).load(model, large, "deployed")
        for _ in range(runs):
            session.run(feeds)
        optimised = onnx.load(folder / OPTIMISED, load_external_data=False)
        return list(_read(optimised, by_node(events(session))))


def _read(model: onnx.ModelProto, found: Events) -> Iterator[tuple[NodeSpec, float]]:
    """Pair the nodes of the optimised graph with their events; a node without one took no time."""
    stored = {tensor.name: _constant(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        rows = found.get((node.name, node.op_type))
        if rows:
            types = rows[-1]["args"]["input_type_shape"]
            attributes = {a.name: _plain(onnx.helper.get_attribute_value(a)) for a in node.attribute}
            yield NodeSpec(node.domain, node.op_type, attributes, _operands(node.input, types, stored)), seconds(rows)


def _operands(names: Sequence[str], types: Sequence[Any], stored: Mapping[str, Operand]) -> tuple[Operand | None, ...]:
    """Describe a node's inputs. The profiler skips omitted ones, and constants that the kernel has packed."""
    seen = [Operand(_TYPES.get(kind, kind), tuple(shape), False) for row in types for kind, shape in row.items()]
    operands: list[Operand | None] = []
    for name in names:
        known = stored.get(name)
        shown = bool(name and seen) and (known is None or known.shape == seen[0].shape)
        next_seen = seen.pop(0) if shown else None
        operands.append(known or next_seen)
    return tuple(operands)


def _constant(tensor: onnx.TensorProto) -> Operand:
    return Operand(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).name, tuple(tensor.dims), True)


def _plain(value: Any) -> Any:
    """Turn an attribute into what JSON holds; tensors and graphs into a dict, which marks the unit as not built."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, int | float):
        return value
    if isinstance(value, Sequence | np.ndarray) or hasattr(value, "__iter__"):
        return [_plain(item) for item in value]
    return {"kind": type(value).__name__}
