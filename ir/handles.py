"""Light typed handles over the nodes and tensors of ``onnx_graphsurgeon``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_graphsurgeon as gs

from .attributes import defaults
from .kept import Kept, writable

Array = np.ndarray[Any, np.dtype[Any]]
Dim = int | str | None


class _Handle:
    __slots__ = ("_raw",)

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Handle) and other._raw is self._raw

    def __hash__(self) -> int:
        return id(self._raw)


class Tensor(_Handle):
    """A value in the graph: a constant with an array, or the output of a node or the graph's input."""

    @staticmethod
    def absent() -> Tensor:
        """Return what stands for an optional input that is left out."""
        return Tensor(gs.Variable.empty())

    @property
    def name(self) -> str:
        """Unique name; empty for an omitted optional input or output."""
        return str(self._raw.name)

    @property
    def is_constant(self) -> bool:
        """Whether the value is stored in the model."""
        return isinstance(self._raw, gs.Constant)

    @property
    def array(self) -> Array:
        """The value of a constant."""
        values: Array = self._raw.values
        return values

    @property
    def dtype(self) -> Any:
        """The numpy dtype, or None when unknown."""
        return self._raw.dtype

    def set_dtype(self, dtype: Any) -> None:
        """Note the numpy dtype of a computed tensor."""
        self._raw.dtype = dtype

    @property
    def shape(self) -> tuple[Dim, ...] | None:
        """Declared dimensions: known for constants, graph inputs and outputs only."""
        return None if self._raw.shape is None else tuple(self._raw.shape)

    @property
    def producer(self) -> Node | None:
        """The node whose output this is."""
        return Node(self._raw.inputs[0]) if self._raw.inputs else None

    @property
    def consumers(self) -> list[Node]:
        """Every node that reads this tensor, those inside subgraphs included; one that reads it twice counts twice."""
        return [Node(node) for node in self._raw.outputs]


class Node(_Handle):
    """One operator."""

    @property
    def op(self) -> str:
        """Operator type."""
        return str(self._raw.op)

    @property
    def name(self) -> str:
        """Unique name."""
        return str(self._raw.name)

    @property
    def domain(self) -> str:
        """Operator domain, '' for the ONNX standard."""
        return "" if self._raw.domain in (None, "ai.onnx") else str(self._raw.domain)

    @property
    def qualified(self) -> str:
        """Operator type after its domain and a dot, alone for the ONNX standard: what tables of rules know it by."""
        return f"{self.domain}.{self.op}" if self.domain else self.op

    @property
    def inputs(self) -> list[Tensor]:
        """Inputs in order; an omitted optional one has an empty name."""
        return [Tensor(t) for t in self._raw.inputs]

    @property
    def outputs(self) -> list[Tensor]:
        """Outputs in order."""
        return [Tensor(t) for t in self._raw.outputs]

    @property
    def attributes(self) -> dict[str, Any]:
        """Attributes as written, tensors as arrays; subgraphs left out."""
        return {key: _plain(value) for key, value in self._raw.attrs.items() if not isinstance(value, gs.Graph)}

    def attribute(self, name: str, opset: int, default: Any = None) -> Any:
        """Return an attribute, else its schema default at ``opset``, else ``default``."""
        if name in self._raw.attrs:
            return _plain(self._raw.attrs[name])
        return defaults(self.op, opset, self.domain).get(name, default)

    def set_attribute(self, name: str, value: Any) -> None:
        """Set an attribute; None removes it."""
        if value is None:
            self._raw.attrs.pop(name, None)
        else:
            self._raw.attrs[name] = writable(self.op, self.domain, name, value)

    def set_op(self, op: str) -> None:
        """Change the operator type."""
        self._raw.op = op

    def set_input(self, index: int, tensor: Tensor) -> None:
        """Replace one input."""
        self._raw.inputs[index] = tensor._raw

    def omit_input(self, index: int) -> None:
        """Leave out an optional input; the list ends with the last one that is given."""
        self._raw.inputs[index] = Tensor.absent()._raw
        while not self._raw.inputs[-1].name:
            self._raw.inputs.pop()

    def set_inputs(self, tensors: Sequence[Tensor]) -> None:
        """Replace all inputs."""
        self._raw.inputs = [tensor._raw for tensor in tensors]

    def set_outputs(self, tensors: Sequence[Tensor]) -> None:
        """Replace all outputs."""
        self._raw.outputs = [tensor._raw for tensor in tensors]

    @property
    def has_subgraphs(self) -> bool:
        """Whether an attribute holds a graph (If, Loop, Scan)."""
        return any(isinstance(value, gs.Graph) for value in self._raw.attrs.values())

    def bodies(self) -> list[list[Node]]:
        """The nodes of every subgraph that this node holds itself."""
        return [[Node(inner) for inner in body.nodes] for body in self._raw.subgraphs()]

    def body_ends(self) -> list[tuple[list[Tensor], list[Tensor]]]:
        """The inputs and outputs of every subgraph that this node holds itself."""
        return [(list(map(Tensor, body.inputs)), list(map(Tensor, body.outputs))) for body in self._raw.subgraphs()]

    def unlink(self) -> None:
        """Cut the links of this node, and of all inside its subgraphs."""
        for node in (self._raw, *(inner for body in self._raw.subgraphs(recursive=True) for inner in body.nodes)):
            node.inputs.clear()
            node.outputs.clear()

    def captures(self) -> list[Tensor]:
        """Tensors read inside this node's subgraphs, the ones of outer scopes among them."""
        return [Tensor(t) for inner in self._raw.subgraphs(recursive=True) for node in inner.nodes for t in node.inputs]


def _plain(value: Any) -> Any:
    if isinstance(value, Kept):
        return value.value
    return value.values if isinstance(value, gs.Constant) else value
