"""The core of the zoo's builder: names, types, constants and nodes of one ONNX graph, nothing about layers."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, DTypeLike, NDArray
from onnx import helper, numpy_helper, shape_inference

Dim = int | str | None
Array = NDArray[Any]


class GraphBuilder:
    """Collects one graph; every tensor's type is inferred as its node is added, so layers can read channel counts.

    Tensors are plain strings. Random parameters come from a generator seeded by the graph's name, so a
    model is the same bytes on every run.

    Parameters
    ----------
    name : graph name, and seed of its weights.
    opset : version of the default operator set.
    ir_version : below 4, initializers are also listed as graph inputs, as the format then asked.
    constant_nodes : emit `Constant` nodes where an initializer would be.
    prefix : put before every name; the body of an If or Loop needs one, names being unique across scopes.
    """

    def __init__(
        self, name: str, *, opset: int = 17, ir_version: int = 8, constant_nodes: bool = False, prefix: str = ""
    ) -> None:
        self.name = name
        self._prefix = prefix
        self.rng = np.random.default_rng(zlib.crc32(name.encode()))
        self._opsets = [helper.make_opsetid("", opset)]
        self._ir_version = ir_version
        self._constant_nodes = constant_nodes
        self._types: dict[str, onnx.TypeProto] = {}
        self._data: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []
        self._counts: dict[str, int] = {}

    @property
    def opset(self) -> int:
        """Version of the default operator set."""
        return self._opsets[0].version

    def shape(self, tensor: str) -> list[Dim]:
        """Inferred shape; a string is a symbolic size and None an unknown one."""
        dims = self._types[tensor].tensor_type.shape.dim
        return [d.dim_value if d.HasField("dim_value") else (d.dim_param or None) for d in dims]

    def size(self, tensor: str, axis: int = 1) -> int:
        """Size of one axis, which must be static."""
        found = self.shape(tensor)[axis]
        if not isinstance(found, int):
            raise ValueError(f"{self.name}: axis {axis} of {tensor} is not static: {self.shape(tensor)}")
        return found

    def declare(self, tensor: str, shape: Sequence[Dim] | None, dtype: DTypeLike = np.float32) -> str:
        """Set a type that inference cannot find: outer-scope names of a body, outputs of foreign operators."""
        elem_type = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self._types[tensor] = helper.make_tensor_type_proto(elem_type, shape)
        return tensor

    def input(self, name: str, shape: Sequence[Dim], dtype: DTypeLike = np.float32) -> str:
        """Add a graph input."""
        self.declare(name, shape, dtype)
        self._inputs.append(helper.make_value_info(name, self._types[name]))
        return name

    def const(self, value: ArrayLike, name: str = "const") -> str:
        """Add a constant; python floats become float32 and python integers int64."""
        array = np.asarray(value)
        if array.dtype == np.float64:
            array = array.astype(np.float32)
        unique = self._fresh(name)
        tensor = numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), unique)
        self._data[unique] = tensor
        self._types[unique] = helper.make_tensor_type_proto(tensor.data_type, array.shape)
        if self._constant_nodes:
            self._nodes.append(helper.make_node("Constant", [], [unique], name=f"{unique}_node", value=tensor))
        else:
            self._initializers.append(tensor)
        return unique

    def ints(self, *values: int) -> str:
        """Add a 1-D int64 constant, the form of shapes and axes."""
        return self.const(np.array(values, np.int64), "ints")

    def node(self, op: str, inputs: Sequence[str], **attrs: Any) -> str:
        """Add a node with one output and return that output."""
        return self.nodes(op, inputs, 1, **attrs)[0]

    def nodes(self, op: str, inputs: Sequence[str], count: int, **attrs: Any) -> list[str]:
        """Add a node with `count` outputs and return them."""
        name = self._fresh(op.lower())
        outputs = [f"{name}_out"] if count == 1 else [f"{name}_out{i}" for i in range(count)]
        node = helper.make_node(op, inputs, outputs, name=name, **attrs)
        self._nodes.append(node)
        if node.domain:
            self._import(node.domain)
        else:
            self._types.update(self._infer(node))
        return outputs

    def graph(self, *outputs: str) -> onnx.GraphProto:
        """Close the graph: the body of an If or Loop, or the graph of a model."""
        results = [helper.make_value_info(t, self._types[t]) for t in outputs]
        listed = self._initializers if self._ir_version < 4 else []
        inputs = self._inputs + [helper.make_value_info(t.name, self._types[t.name]) for t in listed]
        return helper.make_graph(self._nodes, self.name, inputs, results, self._initializers)

    def model(self, *outputs: str) -> onnx.ModelProto:
        """Close the graph and wrap it in a model."""
        return helper.make_model(
            self.graph(*outputs),
            opset_imports=self._opsets,
            ir_version=self._ir_version,
            producer_name="optimise-onnx-zoo",
        )

    def _fresh(self, stem: str) -> str:
        number = self._counts.get(stem, 0)
        self._counts[stem] = number + 1
        return f"{self._prefix}{stem}_{number}"

    def _import(self, domain: str) -> None:
        if all(opset.domain != domain for opset in self._opsets):
            self._opsets.append(helper.make_opsetid(domain, 1))

    def _infer(self, node: onnx.NodeProto) -> dict[str, onnx.TypeProto]:
        schema = onnx.defs.get_schema(node.op_type, self.opset, node.domain)
        if schema.deprecated:
            return {}
        has_body = any(a.type == onnx.AttributeProto.GRAPH for a in node.attribute)
        visible = self._types if has_body else {t: self._types[t] for t in node.input if t}
        return shape_inference.infer_node_outputs(schema, node, visible, self._data, opset_imports=self._opsets)


def he(rng: np.random.Generator, shape: Sequence[int], fan_in: int) -> Array:
    """Normal weights of variance 2 / fan_in, float32."""
    return np.asarray(rng.standard_normal(tuple(shape)) * np.sqrt(2.0 / fan_in), np.float32)
