"""Operators that ONNX itself defines by others: their definitions, put in their places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx.defs
import onnx.helper

from ...attributes import defaults
from ..step import Step


def defined(step: Step) -> list[str]:
    """Put the definition of a standard operator in its place. Raises UnsupportedOpError where there is none."""
    if onnx.defs.onnx_opset_version() < step.opset:
        raise step.refuse("the installed onnx does not know its operator set")
    proto = _call(step)
    function = _definition(step, proto)
    if function is None:
        raise step.refuse("its operator has no rule")
    names = dict(zip(function.input, proto.input, strict=False)) | dict.fromkeys(function.input[len(proto.input) :], "")
    attributes = {each.name: each for each in function.attribute_proto} | {each.name: each for each in proto.attribute}
    for node in function.node:
        outputs = [step.sheet.name(f"{step.node.name}_{name}") if name else "" for name in node.output]
        inputs = [names.get(name, "") for name in node.input]
        names.update(zip(node.output, outputs, strict=True))
        step.sheet.nodes.append(_written(node, inputs, outputs, attributes, step))
    return [names[name] for name in function.output[: len(proto.output)]]


def _call(step: Step) -> onnx.NodeProto:
    """Return the node with every attribute that has a default."""
    node = step.node
    inputs, outputs = ([tensor.name for tensor in ends] for ends in (node.inputs, node.outputs))
    given = defaults(node.op, step.opset, node.domain) | node.attributes
    return onnx.helper.make_node(node.op, inputs, outputs, node.name, **given)


def _definition(step: Step, proto: onnx.NodeProto) -> onnx.FunctionProto | None:
    schema: Any = onnx.defs.get_schema(proto.op_type, step.opset)
    found = onnx.FunctionProto()
    if schema.has_function:
        versions = [version for version in schema.function_opset_versions if version <= step.opset]
        found.ParseFromString(schema.get_function_with_opset_version(versions[-1]))
    elif schema.has_context_dependent_function:
        versions = [version for version in schema.context_dependent_function_opset_versions if version <= step.opset]
        types = [_type(step, index).SerializeToString() for index in range(len(proto.input))]
        call = proto.SerializeToString()
        found.ParseFromString(schema.get_context_dependent_function_with_opset_version(versions[-1], call, types))
    else:
        return None
    return found


def _type(step: Step, index: int) -> onnx.TypeProto:
    if not step.has(index):
        return onnx.TypeProto()
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(step.node.inputs[index].dtype or np.float32))
    return onnx.helper.make_tensor_type_proto(kind, step.shape(index))


def _written(
    node: onnx.NodeProto,
    inputs: list[str],
    outputs: list[str],
    attributes: Mapping[str, onnx.AttributeProto],
    step: Step,
) -> onnx.NodeProto:
    """Copy a node of a definition, with the attributes that it takes from the operator."""
    found = onnx.NodeProto()
    found.CopyFrom(node)
    found.name = step.sheet.name(f"{step.node.name}_{node.op_type}")
    found.input[:], found.output[:] = inputs, outputs
    del found.attribute[:]
    for each in node.attribute:
        if not each.ref_attr_name:
            found.attribute.append(each)
        elif each.ref_attr_name in attributes:
            copy = found.attribute.add()
            copy.CopyFrom(attributes[each.ref_attr_name])
            copy.name = each.name
    return found
