"""A graph put together with losses and gradients, to be run as one: weights are inputs, so that a step changes nothing.

program = Program(graph, shapes, ["conv.weight"])
slopes = {"logits": program.sheet.add("Sub", "logits", program.input("wanted", (8, 10)))}
found = program.backward(slopes)
session = runner.session(program.graph({f"by {name}": slope for name, slope in found.items()}))
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx.helper
import onnx.version_converter

from ..arithmetic import store_lists
from ..constants import store_constants
from ..errors import UnsupportedOpError
from ..graph import Graph
from ..protos import every_name
from ..shapes import Shape, concrete
from .backward import backward
from .lowering.lowered import lowered
from .sheet import OPSET, Sheet


class Program:
    """A graph, at the shapes of one size of batch, to which nodes are added on ``sheet``.

    ``weights`` name constants that become inputs. Raises UnsupportedOpError where the graph's operator set is below
    18 and cannot be raised.
    """

    def __init__(self, graph: Graph, shapes: Mapping[str, Shape], weights: Sequence[str] = ()) -> None:
        written, self._shapes = differentiable(graph, shapes)
        self.weights = tuple(weights)
        self._model = written.to_model()
        self._expose()
        store_lists(self._model, self._shapes)
        self._graph = Graph.of(self._model)
        self.sheet = Sheet(every_name(self._model.graph))

    def _expose(self) -> None:
        chosen = set(self.weights)
        stored = {tensor.name: tensor for tensor in self._model.graph.initializer}
        for name in self.weights:
            value = onnx.helper.make_tensor_value_info(name, stored[name].data_type, stored[name].dims)
            self._model.graph.input.append(value)
            self._shapes[name] = tuple(stored[name].dims)
        kept = [tensor for name, tensor in stored.items() if name not in chosen]
        del self._model.graph.initializer[:]
        self._model.graph.initializer.extend(kept)

    def input(self, like: str, shape: Shape, dtype: Any = np.float32) -> str:
        """Add an input."""
        name = self.sheet.name(like)
        kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self._model.graph.input.append(onnx.helper.make_tensor_value_info(name, kind, shape))
        return name

    def backward(self, slopes: Mapping[str, str], wanted: Collection[str] | None = None) -> dict[str, str]:
        """Name the slopes at ``wanted`` tensors, the weights by default; see :func:`.backward.backward`."""
        names = self.weights if wanted is None else wanted
        return backward(self._graph, self._shapes, self.sheet, slopes, names)

    def graph(self, outputs: Mapping[str, str]) -> Graph:
        """Return the whole with the tensors in ``outputs`` as outputs, ``outputs[key]`` under the name ``key``.

        A key is the tensor's own name, or one that no tensor has.
        """
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        model.graph.node.extend(self.sheet.nodes)
        model.graph.initializer.extend(self.sheet.constants)
        del model.graph.output[:]
        for key, name in outputs.items():
            if key != name:
                model.graph.node.append(onnx.helper.make_node("Identity", [name], [key], self.sheet.name("give")))
            value = onnx.helper.make_empty_tensor_value_info(key)
            value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
            model.graph.output.append(value)
        found = Graph.of(model)
        found.clean()
        return found


def differentiable(graph: Graph, shapes: Mapping[str, Shape]) -> tuple[Graph, dict[str, Shape]]:
    """Return a graph as rules go back through it, and its shapes. Raises UnsupportedOpError."""
    written = lowered(raised(graph), shapes)
    if written is graph:
        return graph, dict(shapes)
    inputs = {tensor.name: shapes[tensor.name] for tensor in graph.inputs if tensor.name in shapes}
    return written, dict(shapes) | concrete(written, inputs)


def raised(graph: Graph) -> Graph:
    """Return the graph in an operator set that rules and sheets are written in. Raises UnsupportedOpError."""
    if graph.opset >= OPSET:
        return graph
    try:
        model = onnx.version_converter.convert_version(graph.to_model(), OPSET)
    except (RuntimeError, onnx.version_converter.ConvertError) as error:
        why = str(error).splitlines()[0]
        raise UnsupportedOpError(f"the model cannot be written in operator set {OPSET}", why=why) from error
    store_constants(model)
    written = Graph.of(model)
    written.sizes = graph.sizes
    return written
