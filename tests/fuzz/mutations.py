"""Changes to parts of a model's protobuf: each takes a model and a source of randomness, and may do nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

Mutation = Callable[[onnx.ModelProto, np.random.Generator], None]
_NUMBERS = (-(2**63), -(2**31), -7, -2, -1, 0, 1, 2, 3, 5, 17, 255, 65536, 2**28, 2**31, 10**10, 2**62)
_FLOATS = (float("nan"), float("inf"), -float("inf"), 0.0, -1.0, 1e38, 1e-45)
_OPERATORS = (
    "Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "ConstantOfShape", "Conv", "ConvTranspose",
    "DequantizeLinear", "Einsum", "Expand", "Flatten", "GRU", "Gather", "GatherND", "Gemm", "GridSample", "Identity",
    "If", "LSTM", "LayerNormalization", "Loop", "MatMul", "MaxPool", "Mul", "NonZero", "OneHot", "Pad", "Range",
    "ReduceSum", "Reshape", "Resize", "Scan", "ScatterND", "SequenceConstruct", "Shape", "Slice", "Softmax", "Split",
    "Squeeze", "Tile", "TopK", "Transpose", "Unsqueeze", "Where", "NoSuchOperator",
)  # fmt: skip
_TEXTS = ("", "x", "y", "\x1b[31m\n", "é" * 40, "a" * 3000, "../../etc/passwd", "\x00")


def _pick(items: Any, rng: np.random.Generator) -> Any:
    return items[int(rng.integers(0, len(items)))] if len(items) else None


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


def _graph(model: onnx.ModelProto, rng: np.random.Generator) -> onnx.GraphProto:
    return _pick(list(_graphs(model.graph)), rng)


def _node(model: onnx.ModelProto, rng: np.random.Generator) -> onnx.NodeProto:
    nodes = [node for graph in _graphs(model.graph) for node in graph.node]
    nodes += [node for function in model.functions for node in function.node]
    return _pick(nodes, rng) or onnx.NodeProto()


def _tensor(model: onnx.ModelProto, rng: np.random.Generator) -> TensorProto:
    tensors = [tensor for graph in _graphs(model.graph) for tensor in graph.initializer]
    tensors += [a.t for graph in _graphs(model.graph) for n in graph.node for a in n.attribute if a.HasField("t")]
    return _pick(tensors, rng) or TensorProto()


def _value(model: onnx.ModelProto, rng: np.random.Generator) -> onnx.ValueInfoProto:
    graph = _graph(model, rng)
    return _pick([*graph.input, *graph.output, *graph.value_info], rng) or onnx.ValueInfoProto()


def weight_dims(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Change, add or take a dimension of a stored tensor, or exchange two."""
    tensor = _tensor(model, rng)
    dims = list(tensor.dims)
    choice = int(rng.integers(0, 4))
    if choice == 0 and dims:
        dims[int(rng.integers(0, len(dims)))] = _pick(_NUMBERS, rng)
    elif choice == 1:
        dims.insert(0, _pick(_NUMBERS, rng))
    elif choice == 2 and dims:
        dims.pop()
    else:
        dims.reverse()
    tensor.dims[:] = dims


def weight_type(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Change the element type of a stored tensor."""
    _tensor(model, rng).data_type = int(rng.integers(0, 30))


def weight_data(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Cut, lengthen or overwrite a stored tensor's data."""
    tensor = _tensor(model, rng)
    raw, choice = tensor.raw_data, int(rng.integers(0, 4))
    kept = raw[: int(rng.integers(0, len(raw) + 1))]
    filled = np.full(max(len(raw) // 4, 1), _pick(_FLOATS, rng), "f4").tobytes()
    tensor.raw_data = (kept, raw + kept, filled, rng.integers(0, 256, len(raw), np.uint8).tobytes())[choice]


def weight_numbers(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Put other numbers in a stored tensor of integers."""
    tensors = [t for g in _graphs(model.graph) for t in g.initializer if t.data_type == TensorProto.INT64]
    tensor = _pick(tensors, rng)
    if tensor is not None and len(tensor.raw_data):
        count = len(tensor.raw_data) // 8
        tensor.raw_data = np.array([_pick(_NUMBERS, rng) for _ in range(count)], np.int64).tobytes()


def weight_outside(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Say that a stored tensor lies in another file."""
    tensor = _tensor(model, rng)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    places = ("weights.bin", "../in.onnx", "/etc/passwd", "in.onnx", "")
    tensor.external_data.add(key="location", value=_pick(places, rng))
    tensor.external_data.add(key="offset", value=str(_pick((*_NUMBERS, "abc", ""), rng)))


def declared_dims(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Change, add or take a dimension of an input, output or inner value."""
    shape = _value(model, rng).type.tensor_type.shape
    dim = _pick(shape.dim, rng)
    choice = int(rng.integers(0, 4))
    if dim is None or choice == 0:
        shape.dim.add().dim_value = _pick(_NUMBERS, rng)
    elif choice == 1:
        dim.dim_value = _pick(_NUMBERS, rng)
    elif choice == 2:
        dim.dim_param = _pick(_TEXTS, rng)
    else:
        del shape.dim[-1]


def declared_type(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Change the element type of an input, output or inner value, or make it a sequence."""
    kind = _value(model, rng).type
    if rng.random() < 0.2:
        kind.sequence_type.elem_type.tensor_type.elem_type = TensorProto.FLOAT
    else:
        kind.tensor_type.elem_type = int(rng.integers(0, 30))


def attribute_value(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Change numbers or the text of an attribute."""
    attribute = _pick(_node(model, rng).attribute, rng)
    if attribute is None:
        return
    attribute.f, attribute.i = _pick(_FLOATS, rng), _pick(_NUMBERS, rng)
    if len(attribute.ints):
        attribute.ints[int(rng.integers(0, len(attribute.ints)))] = _pick(_NUMBERS, rng)
    if len(attribute.s):
        attribute.s = _pick(_TEXTS, rng).encode()


def attribute_shape(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Empty an attribute, take it out, double it, rename it or change its kind."""
    node = _node(model, rng)
    attribute = _pick(node.attribute, rng)
    if attribute is None:
        node.attribute.append(
            helper.make_attribute(_pick(("axis", "axes", "pads", "group"), rng), _pick(_NUMBERS, rng))
        )
        return
    choice = int(rng.integers(0, 5))
    if choice == 0:
        attribute.ClearField("ints")
    elif choice == 1:
        node.attribute.remove(attribute)
    elif choice == 2:
        node.attribute.add().CopyFrom(attribute)
    elif choice == 3:
        attribute.name = _pick(("axis", "axes", "perm", "pads", "to", *_TEXTS), rng)
    else:
        attribute.type = int(rng.integers(0, 15))


def name(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Rename a node, a tensor or a value."""
    part = _pick((_node(model, rng), _tensor(model, rng), _value(model, rng)), rng)
    part.name = _pick(_TEXTS, rng)


def edge(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Let a node read or write another tensor, one more or one fewer."""
    graph = _graph(model, rng)
    node = _pick(graph.node, rng) or onnx.NodeProto()
    names = [each for other in graph.node for each in (*other.input, *other.output)]
    names += ["", *(tensor.name for tensor in graph.initializer)]
    ends, choice = (node.input, node.input, node.output)[int(rng.integers(0, 3))], int(rng.integers(0, 3))
    if choice == 0 and len(ends):
        ends[int(rng.integers(0, len(ends)))] = _pick(names, rng)
    elif choice == 1 and len(ends):
        del ends[int(rng.integers(0, len(ends)))]
    else:
        ends.append(_pick(names, rng))


def nodes(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Take out, double or move a node, or empty the graph."""
    graph = _graph(model, rng)
    held = [onnx.NodeProto.FromString(node.SerializeToString()) for node in graph.node]
    place, choice = int(rng.integers(0, max(len(held), 1))), int(rng.integers(0, 8))
    if choice < 3:
        held = held[:place] + held[place + 1 :]
    elif choice < 5:
        held = held[:place] + held[place : place + 1] * 2 + held[place + 1 :]
    elif choice < 7:
        held = held[place:] + held[:place]
    else:
        held = []
    del graph.node[:]
    graph.node.extend(held)


def operator(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Make a node another operator, or one of another domain."""
    node = _node(model, rng)
    if rng.random() < 0.8:
        node.op_type = _pick(_OPERATORS, rng)
    else:
        node.domain = _pick(("com.microsoft", "ai.onnx.ml", "own", *_TEXTS), rng)


def versions(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Change the operator set, the IR version, or what is imported."""
    choice = int(rng.integers(0, 4))
    if choice == 0 and len(model.opset_import):
        model.opset_import[0].version = int(rng.integers(0, 30))
    elif choice == 1:
        model.ir_version = int(_pick((0, 1, 3, 4, 8, 10, 99), rng))
    elif choice == 2:
        del model.opset_import[:]
    else:
        model.opset_import.add(domain=_pick(("", "com.microsoft", "own"), rng), version=int(rng.integers(0, 25)))


def ends(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Take out, double or rename an input or output of a graph; declare a weight as input or output."""
    graph = _graph(model, rng)
    values, choice = (graph.input, graph.output)[int(rng.integers(0, 2))], int(rng.integers(0, 4))
    value = _pick(values, rng)
    if choice == 0 and value is not None:
        values.remove(value)
    elif choice == 1 and value is not None:
        values.add().CopyFrom(value)
    elif choice == 2 and value is not None:
        value.name = _pick([*_TEXTS, *(each for node in graph.node for each in node.input)], rng)
    elif len(graph.initializer):
        tensor = _pick(graph.initializer, rng)
        values.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))


def made_constant(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Add a large constant made of a small one, and a node that reads it."""
    sizes = [int(_pick((1, 3, 7, 10**4, 10**5, 10**9), rng)) for _ in range(int(rng.integers(1, 4)))]
    graph = model.graph
    graph.initializer.append(onnx.numpy_helper.from_array(np.array(sizes, np.int64), "made_sizes"))
    graph.node.insert(0, helper.make_node("ConstantOfShape", ["made_sizes"], ["made"]))
    if graph.output:
        graph.node.append(
            helper.make_node(str(_pick(("Add", "Mul", "Expand"), rng)), [graph.output[0].name, "made"], ["made_end"])
        )
        graph.output[0].name = "made_end"


def in_a_loop(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """Put a node into the body of a loop of many trips."""
    node = _pick([n for n in model.graph.node if len(n.output) == 1 and n.output[0]], rng)
    if node is None:
        return
    copy = onnx.NodeProto.FromString(node.SerializeToString())
    flags = [helper.make_tensor_value_info(n, TensorProto.BOOL, []) for n in ("loop_in", "loop_out")]
    count = helper.make_tensor_value_info("loop_i", TensorProto.INT64, [])
    result = helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, None)
    body = helper.make_graph(
        [copy, helper.make_node("Identity", ["loop_in"], ["loop_out"])], "b", [count, flags[0]], [flags[1], result]
    )
    trips = np.array(int(_pick((0, 1, 3, 2**40), rng)))
    model.graph.initializer.append(onnx.numpy_helper.from_array(trips, "loop_trips"))
    node.CopyFrom(helper.make_node("Loop", ["loop_trips", ""], [node.output[0]], body=body))


MUTATIONS: dict[str, Mutation] = {
    each.__name__: each
    for each in (
        weight_dims, weight_type, weight_data, weight_numbers, weight_outside, declared_dims, declared_type,
        attribute_value, attribute_shape, name, edge, nodes, operator, versions, ends, made_constant, in_a_loop,
    )
}  # fmt: skip
