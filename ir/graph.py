"""A small typed view of an ``onnx_graphsurgeon`` graph: the only room that touches that library.

A :class:`Tensor` or :class:`Node` is a light handle; two handles are equal when they stand for the same object.
Arrays of constants are never changed in place: an edit puts a new array there, so copies may share them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from . import wire
from .exported import Metadata, bare, light, noted, owned, read_once, whole
from .handles import Array, Dim, Node, Tensor
from .inference import element_types
from .kept import keep, numpy_type, writable
from .mapped import is_mapped, spilled
from .names import fresh
from .protos import shell
from .scopes import copied
from .sizes import Sizes

IR_VERSION = 8  # what onnxruntime reads since 1.10
_SMALL = 1024  # entries of a constant that says something of shapes

__all__ = ["Array", "Dim", "Graph", "Node", "Tensor"]


class Graph:
    """A model being rewritten. ``base`` keeps what the graph does not: metadata, opset imports, declared interface.

    ``sizes`` are what the dimensions that the inputs leave open are taken to be, None until they are chosen;
    ``metadata`` is what is noted at nodes, by node name and key: read from the file, and written to it. With
    ``on_disk`` large new weights lie in temporary files, as do those that were read in the model's.
    """

    def __init__(
        self,
        raw: gs.Graph,
        base: onnx.ModelProto,
        sizes: Sizes | None = None,
        metadata: Metadata | None = None,
        on_disk: bool = False,
    ) -> None:
        self._raw = raw
        self._base = base
        self._on_disk = on_disk
        self.sizes = sizes
        self._names: set[str] = set()
        self.metadata: Metadata = owned(metadata or {})

    def __reduce__(self) -> tuple[Any, ...]:
        light, arrays = self.copy(), {}
        types = {name: tensor.dtype for name, tensor in self.tensors().items() if not tensor.is_constant}
        for tensor in light.constants():
            if tensor.array.size > _SMALL:
                arrays[tensor.name] = tensor.array
                light.set_array(tensor, np.zeros(0, tensor.dtype))
        return _unpickled, (light.to_model().SerializeToString(deterministic=True), arrays, types, self.sizes)

    @staticmethod
    def of(model: onnx.ModelProto) -> Graph:
        """Import a model without local functions.

        Node names are made unique; declared inner shapes are dropped, element types are kept or inferred.
        """
        raw = gs.import_onnx(model)
        keep(raw.nodes, model.graph.node)
        base = onnx.ModelProto()
        base.CopyFrom(shell(model))
        graph = Graph(raw, base, on_disk=any(map(is_mapped, model.graph.initializer)))
        graph.name_nodes()
        graph.metadata = noted(raw.nodes, model.graph.node)
        ends = {id(t) for t in (*raw.inputs, *raw.outputs)}
        types = element_types(model)
        for name, tensor in raw.tensors().items():
            if isinstance(tensor, gs.Constant):
                read_once(tensor)
            elif id(tensor) in ends:
                tensor.dtype = numpy_type(tensor.dtype)
            else:
                tensor.shape = None
                tensor.dtype = numpy_type(tensor.dtype) or types.get(name)
        return graph

    @staticmethod
    def empty(opset: int) -> Graph:
        """Return a graph without nodes."""
        raw = gs.Graph(opset=opset)
        base = onnx.ModelProto(ir_version=IR_VERSION, opset_import=[onnx.helper.make_opsetid("", opset)])
        return Graph(raw, base)

    def name_nodes(self) -> None:
        """Give every node a name of its own."""
        taken: set[str] = {node.name for node in self._raw.nodes}
        seen: set[str] = set()
        for index, node in enumerate(self._raw.nodes):
            if not node.name or node.name in seen:
                node.name = fresh(f"{node.op}_{index}", taken)
            seen.add(node.name)
            taken.add(node.name)

    @property
    def opset(self) -> int:
        """Version of the standard operator set."""
        return int(self._raw.opset)

    @property
    def nodes(self) -> list[Node]:
        """Nodes in topological order."""
        return [Node(node) for node in self._raw.nodes]

    @property
    def inputs(self) -> list[Tensor]:
        """Graph inputs in order."""
        return [Tensor(t) for t in self._raw.inputs]

    @property
    def outputs(self) -> list[Tensor]:
        """Graph outputs in order."""
        return [Tensor(t) for t in self._raw.outputs]

    def tensors(self) -> dict[str, Tensor]:
        """All tensors of the outer graph by name."""
        return {name: Tensor(t) for name, t in self._raw.tensors().items()}

    def constants(self) -> Iterator[Tensor]:
        """Every constant of the outer graph, once, in order of first use."""
        seen: set[int] = set()
        for node in self._raw.nodes:
            for tensor in node.inputs:
                if isinstance(tensor, gs.Constant) and id(tensor) not in seen:
                    seen.add(id(tensor))
                    yield Tensor(tensor)

    def every_node(self) -> Iterator[Node]:
        """Every node, those of subgraphs too."""
        for scope in (self._raw, *self._raw.subgraphs(recursive=True)):
            yield from map(Node, scope.nodes)

    def every_constant(self) -> Iterator[Tensor]:
        """Every constant of the graph and its subgraphs, once."""
        scopes = (self._raw, *self._raw.subgraphs(recursive=True))
        found = {id(t): t for scope in scopes for t in scope.tensors().values() if isinstance(t, gs.Constant)}
        yield from map(Tensor, found.values())

    def node(self, name: str) -> Node:
        """Find a node by name; KeyError when absent."""
        for node in self._raw.nodes:
            if node.name == name:
                return Node(node)
        raise KeyError(name)

    def constant(self, name: str, array: Array) -> Tensor:
        """Make a new constant under a name like ``name``."""
        return Tensor(gs.Constant(self._unused(name), self.kept(array)))

    def variable(self, name: str, dtype: Any = None) -> Tensor:
        """Make a new tensor under a name like ``name``, to be some node's output."""
        return Tensor(gs.Variable(self._unused(name), dtype=dtype))

    def _unused(self, name: str) -> str:
        """Return a name like ``name`` that no tensor has, nor one that was made and is not linked yet."""
        self._names.update(self._raw.tensors())
        found = fresh(name, self._names)
        self._names.add(found)
        return found

    def set_array(self, tensor: Tensor, array: Array) -> None:
        """Give a constant another value; every reader sees it."""
        tensor._raw.values = self.kept(array)

    def make_constant(self, tensor: Tensor, array: Array) -> None:
        """Turn a computed tensor into a stored one; its producer is left without that output's readers."""
        raw = tensor._raw
        raw.inputs.clear()
        raw.to_constant(self.kept(array))

    def kept(self, array: Array) -> Array:
        """Return an array as the graph holds its constants: a large one of a large model lies in a temporary file."""
        held = np.asarray(array, order="C")
        return spilled(held) if self._on_disk else held

    def insert(
        self,
        op: str,
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        attributes: dict[str, Any] | None = None,
        *,
        before: Node | None = None,
        domain: str = "",
    ) -> Node:
        """Add a node, before another one or at the end (call :meth:`sort` when order is unsure)."""
        name = fresh(f"{outputs[0].name}_{op}", {node.name for node in self._raw.nodes})
        given = {key: writable(op, domain, key, value) for key, value in (attributes or {}).items()}
        raw = gs.Node(op, name, given, [t._raw for t in inputs], [t._raw for t in outputs], domain or None)
        place = len(self._raw.nodes) if before is None else self._position(before)
        self._raw.nodes.insert(place, raw)
        return Node(raw)

    def _position(self, node: Node) -> int:
        return next(i for i, raw in enumerate(self._raw.nodes) if raw is node._raw)

    def remove(self, node: Node) -> None:
        """Take a node out and cut its links, those of its subgraphs too."""
        del self._raw.nodes[self._position(node)]
        node.unlink()

    def replace_uses(self, old: Tensor, new: Tensor) -> None:
        """Let every reader of ``old`` read ``new``; a graph output keeps its own name and is not replaced."""
        for reader in list(old._raw.outputs):
            for index, tensor in enumerate(reader.inputs):
                if tensor is old._raw:
                    reader.inputs[index] = new._raw

    def is_output(self, tensor: Tensor) -> bool:
        """Whether the tensor is one of the graph's outputs."""
        return any(t is tensor._raw for t in self._raw.outputs)

    def set_outputs(self, tensors: Sequence[Tensor]) -> None:
        """Declare other outputs (for probing inner tensors); the written interface follows."""
        self._raw.outputs = [t._raw for t in tensors]

    def set_inputs(self, tensors: Sequence[Tensor]) -> None:
        """Declare other inputs (for running a part of the graph)."""
        self._raw.inputs = [t._raw for t in tensors]

    def sort(self) -> None:
        """Bring nodes into topological order."""
        self._raw.toposort()

    def clean(self) -> None:
        """Drop nodes and constants that no output needs."""
        self._raw.cleanup(remove_unused_graph_inputs=False)

    def copy(self) -> Graph:
        """Copy the structure, with the sizes of inputs; arrays are shared."""
        base = onnx.ModelProto()
        base.CopyFrom(self._base)
        return Graph(copied(self._raw), base, self.sizes, self.metadata, self._on_disk)

    def become(self, other: Graph) -> None:
        """Take over the structure and arrays of another version of this graph; handles into this one go stale."""
        self._raw, self.sizes = other._raw, self.sizes or other.sizes
        self.metadata = owned(other.metadata)

    def settle(self) -> None:
        """Forget names that were made and not used: what is made from here depends on the graph alone."""
        self._names.clear()

    def part(self, nodes: set[str], inputs: Mapping[str, Sequence[Array]], outputs: Sequence[str]) -> Graph:
        """Copy some nodes into a graph of their own; ``inputs`` gives all values of every tensor they may read."""
        whole = self._raw
        chosen = [node for node in whole.nodes if node.name in nodes]
        options = {"opset": whole.opset, "import_domains": whole.import_domains, "ir_version": whole.ir_version}
        raw = copied(gs.Graph(chosen, **options))
        piece = Graph(raw, self._base, on_disk=self._on_disk)
        tensors = raw.tensors() | {t.name: t._raw for node in piece.nodes for t in node.captures()}
        for name, values in inputs.items():
            if name in tensors:
                tensors[name].dtype = values[0].dtype
                sizes = zip(*(value.shape for value in values), strict=True)
                tensors[name].shape = [size[0] if len(set(size)) == 1 else None for size in sizes]
        raw.inputs = [tensors[name] for name in inputs if name in tensors]
        raw.outputs = [tensors[name] for name in outputs]
        return piece

    def written_bytes(self) -> int:
        """Return how long the file is that the model is written to."""
        return sum(map(wire.length, wire.written(*self.light())))

    def to_model(self) -> onnx.ModelProto:
        """Write the model: metadata, opset, IR version, inputs and outputs as they were read."""
        return whole(*self.light())

    def light(self) -> tuple[onnx.ModelProto, dict[str, Array]]:
        """Write the model but for the values of its large weights, which are returned apart, by name, uncopied."""
        return light(self._raw, self._base, self.metadata)

    def bare(self, entries: int) -> tuple[onnx.ModelProto, dict[str, Array]]:
        """Write the model without constants of more than ``entries`` entries, which are returned by name, uncopied."""
        return bare(self._raw, self._base, self.metadata, entries)


def _unpickled(model: bytes, arrays: Mapping[str, Array], types: Mapping[str, Any], sizes: Sizes | None) -> Graph:
    graph = Graph.of(onnx.load_model_from_string(model))
    graph.sizes = sizes
    tensors = graph.tensors()
    for name, dtype in types.items():
        tensors[name]._raw.dtype = dtype
    for name, array in arrays.items():
        graph.set_array(tensors[name], array)
    return graph
