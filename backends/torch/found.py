"""Where the parameters of a module lie in the graph that it was exported to: by their names, else by their layer's."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from ...ir.graph import Array, Graph
from ...ir.handles import Node, Tensor

SCOPES = "pkg.torch.onnx.name_scopes"  # of a node: the modules that it lies in, outermost first, then itself
PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_PLACES: dict[str, dict[str, int | None]] = {
    "weight": {
        "LayerNormalization": 1,
        "RMSNormalization": 1,
        "BatchNormalization": 1,
        "Mul": None,
        "PRelu": 1,
        "Gather": 0,
        "InstanceNormalization": 1,
    },
    "bias": {"LayerNormalization": 2, "BatchNormalization": 2, "Add": None, "InstanceNormalization": 2},
    "running_mean": {"BatchNormalization": 3},
    "running_var": {"BatchNormalization": 4},
}
"""By parameter: the operators that read it, likeliest first, and at which input; None: at the stored one."""


class Product(NamedTuple):
    """A convolution or dense layer: its node, its weight as PyTorch has it, and its bias."""

    node: Node
    weight: Array
    bias: Array | None


class Found:
    """Looks up the constants of a graph by the paths of modules."""

    def __init__(self, graph: Graph) -> None:
        self.opset = graph.opset
        self._stored = {tensor.name: tensor for tensor in graph.constants()}
        self._nodes: dict[str, list[Node]] = defaultdict(list)
        for node in graph.nodes:
            scopes = graph.metadata.get(node.name, {}).get(SCOPES)
            path = ast.literal_eval(scopes)[-2:-1] if scopes else []
            self._nodes[path[0] if path else ""].append(node)

    def product(self, path: str) -> Product | None:
        """Return what a convolution or dense layer has become; None where it has no node of its own."""
        named = self._stored.get(f"{path}.weight")
        nodes = [*(named.consumers if named is not None else ()), *(self._nodes[path] if path else ())]
        node = next((n for n in nodes if n.op in PRODUCTS and n.inputs[1].is_constant), None)
        if node is None:
            return None
        weight = node.inputs[1].array
        turned = node.op == "MatMul" or (node.op == "Gemm" and not node.attribute("transB", self.opset))
        return Product(node, weight.T if turned else weight, _bias(node))

    def parameter(self, path: str, name: str) -> Array | None:
        """Return a parameter of any other module; None where no constant is known to hold it."""
        nodes = self._nodes[path] if path else []
        for op, place in _PLACES.get(name, {}).items():
            for tensor in (tensor for node in nodes if node.op == op for tensor in _read(node, place)):
                return tensor.array
        stored = self._stored.get(f"{path}.{name}" if path else name)
        return None if stored is None else stored.array

    def groups(self, path: str) -> int | None:
        """Return how many groups a group norm has, which exporters write as an instance norm of so many channels."""
        nodes = self._nodes[path] if path else []
        sizes = (node.inputs[1].array.size for node in nodes if node.op == "InstanceNormalization")
        return next(sizes, None)

    def outputs(self, path: str) -> list[str]:
        """List the tensors that a module's own nodes write, in the order of the graph."""
        return [tensor.name for node in (self._nodes[path] if path else ()) for tensor in node.outputs]


def _bias(node: Node) -> Array | None:
    if len(node.inputs) > 2 and node.inputs[2].is_constant:
        return node.inputs[2].array
    behind = node.outputs[0].consumers if node.op == "MatMul" else []
    added = [tensor.array for each in behind if each.op == "Add" for tensor in _read(each, None)]
    return added[0] if added else None


def _read(node: Node, place: int | None) -> Iterator[Tensor]:
    for number, tensor in enumerate(node.inputs):
        if tensor.is_constant and place in (None, number):
            yield tensor
