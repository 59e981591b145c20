"""Parts of a model proto that a graph neither edits nor keeps: metadata, and the interface as it was declared."""

from collections.abc import Iterator
from typing import Any

import onnx


def bodies(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """Yield the subgraphs of a graph, and theirs."""
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield attribute.g
                yield from bodies(attribute.g)


def every_node(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of a graph and of its subgraphs."""
    for scope in (graph, *bodies(graph)):
        yield from scope.node


def every_name(graph: onnx.GraphProto) -> Iterator[str]:
    """Yield the names of the tensors and nodes of a graph and of its subgraphs, some of them more than once."""
    for scope in (graph, *bodies(graph)):
        yield from (value.name for value in (*scope.input, *scope.initializer))
        for node in scope.node:
            yield from (*node.input, *node.output, node.name)


def declare(written: Any, declared: Any) -> None:
    """Give written inputs or outputs the declarations of those of the same name."""
    by_name = {value.name: value for value in declared}
    values = [by_name.get(value.name, value) for value in written]
    kept = []
    for value in values:
        copy = onnx.ValueInfoProto()
        copy.CopyFrom(value)
        kept.append(copy)
    del written[:]
    written.extend(kept)


def shell(model: onnx.ModelProto) -> onnx.ModelProto:
    """Copy a model without its nodes and weights."""
    shell = onnx.ModelProto(
        ir_version=model.ir_version,
        producer_name=model.producer_name,
        producer_version=model.producer_version,
        domain=model.domain,
        model_version=model.model_version,
        doc_string=model.doc_string,
    )
    shell.opset_import.extend(model.opset_import)
    shell.metadata_props.extend(model.metadata_props)
    shell.graph.name, shell.graph.doc_string = model.graph.name, model.graph.doc_string
    shell.graph.input.extend(model.graph.input)
    shell.graph.output.extend(model.graph.output)
    return shell
