"""The structural check every rewritten graph must pass: links, names, order, interface, and the onnx checker."""

from __future__ import annotations

import onnx
import onnx.checker

from .errors import VerificationError
from .graph import Graph, Node, Tensor
from .shapes import skeleton


def verify(graph: Graph, original: Graph | None = None) -> None:
    """Raise VerificationError unless the graph is well formed and has the interface of ``original``.

    Names are unique, every input of a node is a constant, a graph input or computed earlier, every output is
    computed, and the onnx checker accepts the model. Time: linear in the nodes; large constants are not looked at.
    """
    _check_names(graph)
    known = _check_order(graph)
    for tensor in graph.outputs:
        if tensor not in known and not tensor.is_constant:
            raise VerificationError(f"output '{tensor.name}' is not computed by any node")
    if original is not None:
        check_interface(graph, original)
    try:
        onnx.checker.check_model(skeleton(graph))
    except onnx.checker.ValidationError as error:
        raise VerificationError("the onnx checker refuses the graph", why=str(error).splitlines()[0]) from error


def check_interface(graph: Graph, original: Graph) -> None:
    """Raise VerificationError unless inputs and outputs agree in name, order, type and fixed dimensions."""
    for kind in ("inputs", "outputs"):
        now, before = (_declared(getattr(each, kind)) for each in (graph, original))
        if now != before:
            raise VerificationError(f"the {kind} of the model changed", why=f"{now} instead of {before}")


def _declared(tensors: list[Tensor]) -> str:
    """Write names, types and shapes; the names of symbolic dimensions do not count."""
    return ", ".join(f"'{t.name}' {t.dtype}[{_shape(t)}]" for t in tensors)


def _shape(tensor: Tensor) -> str:
    if tensor.shape is None:
        return "…"
    return ", ".join(str(dim) if isinstance(dim, int) and dim > 0 else "?" for dim in tensor.shape)


def _check_names(graph: Graph) -> None:
    nodes: set[str] = set()
    tensors: dict[str, Tensor] = {tensor.name: tensor for tensor in graph.inputs}
    for node in graph.nodes:
        if not node.name or node.name in nodes:
            raise VerificationError("a node has no name of its own", node_name=node.name or "(none)", op_type=node.op)
        nodes.add(node.name)
        for tensor in (*node.inputs, *node.outputs):
            if tensor.name and tensors.setdefault(tensor.name, tensor) != tensor:
                raise VerificationError(f"two tensors are called '{tensor.name}'", node_name=node.name, op_type=node.op)


def _check_order(graph: Graph) -> set[Tensor]:
    """Return the tensors that are inputs or computed."""
    known = set(graph.inputs)
    outer = set(graph.nodes)
    for node in graph.nodes:
        for tensor in node.inputs:
            if tensor.name and not tensor.is_constant and tensor not in known:
                raise _unknown(tensor, node, outer)
        for tensor in node.captures():
            if tensor.producer in outer and tensor not in known:
                raise _unknown(tensor, node, outer)
        for tensor in node.outputs:
            if tensor.name and tensor in known:
                raise VerificationError(f"'{tensor.name}' is computed twice", node_name=node.name, op_type=node.op)
        known.update(node.outputs)
    return known


def _unknown(tensor: Tensor, node: Node, outer: set[Node]) -> VerificationError:
    why = "it is computed later" if tensor.producer in outer else "no node computes it"
    return VerificationError(f"'{tensor.name}' is read too early", node_name=node.name, op_type=node.op, why=why)
