"""Removing atoms from a graph: one function slices every constant, attribute and baked shape that mentions them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ....ir.errors import PreconditionError
from ....ir.graph import Array, Graph, Node, Tensor
from ....ir.shapes import Shape
from ..layers.linear import axes_of, stored_at
from .labels import Labels, Propagation
from .numbers import Entry, entries
from .vanishing import emptied, leaves

OVERRIDES = 10
"""The first operator set in which a computed list can be rewritten: Slice takes its bounds as inputs."""


@dataclass(frozen=True)
class Surgery:
    """The state a rewriting rule sees: old and new shapes, and which indices stay."""

    graph: Graph
    ctx: Propagation
    keep: Array

    def mask(self, labels: Labels) -> Array:
        """Which entries of a label array stay; same shape as its atoms."""
        kept: Array = self.keep[labels.atoms]
        return kept

    def shapes_after(self) -> dict[str, Shape]:
        """Return the shape that every tensor of the graph has once channels are gone, by name."""
        tensors = self.graph.tensors()
        return {name: self.shapes(tensors[name])[1] for name in self.ctx.shapes if name in tensors}

    def shapes(self, tensor: Tensor) -> tuple[Shape, Shape]:
        """Return a tensor's shape before and after."""
        old = self.ctx.shape(tensor)
        labels = self.ctx.labels.get(tensor.name)
        if labels is None or labels.shrink is None:
            return old, old
        count = kept_count(self.mask(labels), labels.shrink, f"tensor '{tensor.name}'")
        return old, tuple(count if axis == labels.shrink else size for axis, size in enumerate(old))

    def positions(self, tensor: Tensor, axis: int) -> Array:
        """Return the old indices along ``axis`` that stay, for a tensor whose atoms vary along that axis only."""
        labels = self.ctx.labels.get(tensor.name)
        if labels is None or labels.shrink != axis:
            return np.arange(self.ctx.shape(tensor)[axis])
        mask = np.moveaxis(self.mask(labels), axis, 0).reshape(labels.atoms.shape[axis], -1)
        if not (mask == mask[:, :1]).all():
            why = f"axis {axis} of '{tensor.name}' has no single index list"
            raise PreconditionError("channels differ between blocks", why=why)
        return np.flatnonzero(mask[:, 0])

    def set_ints(self, node: Node, index: int, name: str, values: list[int]) -> None:
        """Replace an integer list given as input ``index`` or, in older opsets, as attribute ``name``."""
        if index < len(node.inputs) and node.inputs[index].name:
            old = node.inputs[index]
            dtype = old.dtype if old.is_constant else np.int64
            node.set_input(index, self.graph.constant(f"{node.name}_{name}", np.asarray(values, dtype)))
        else:
            node.set_attribute(name, values)

    def set_entries(self, node: Node, index: int, name: str, sizes: Mapping[int, tuple[int, int]]) -> None:
        """Bring a list of sizes up to date that an input gives; ``sizes``: old and new by place. 0, -1 and 1 stay.

        A computed list is taken apart and put together anew where its numbers do not follow.
        """
        values = entries(self.ctx, node.inputs[index])
        if values is None:
            return
        flat = values.ravel()
        wrong = {place: new for place, (old, new) in sizes.items() if not self._follows(flat[place], old, new)}
        if wrong and node.inputs[index].is_constant:
            self.set_ints(node, index, name, [wrong.get(place, int(entry)) for place, entry in enumerate(flat)])
        elif wrong:
            self._override(node, index, name, wrong)

    def _follows(self, entry: Entry, old: int, new: int) -> bool:
        if isinstance(entry, int):
            return old == new or entry <= 1
        if not entry.copy:
            return True
        (name,) = entry.counts
        labels = self.ctx.labels[name]
        assert labels.shrink is not None
        return kept_count(self.mask(labels), labels.shrink, f"tensor '{name}'") == new

    def _override(self, node: Node, index: int, name: str, wanted: Mapping[int, int]) -> None:
        graph = self.graph

        def stored(values: list[int]) -> Tensor:
            return graph.constant(f"{node.name}_{name}", np.asarray(values, np.int64))

        whole, pieces, place = node.inputs[index], list[Tensor](), 0
        length = self.ctx.shape(whole)[0]
        for end in [*sorted(wanted), length]:
            if end > place:
                taken = graph.variable(f"{node.name}_{name}", np.int64)
                graph.insert("Slice", [whole, stored([place]), stored([end])], [taken], before=node)
                pieces.append(taken)
            if end in wanted:
                pieces.append(stored([wanted[end]]))
            place = end + 1
        joined = graph.variable(f"{node.name}_{name}", np.int64)
        graph.insert("Concat", pieces, [joined], {"axis": 0}, before=node)
        node.set_input(index, joined)


Rewrite = Callable[[Node, Surgery], None]


def kept_count(mask: Array, axis: int, name: str) -> int:
    """Return how many indices stay along ``axis``: the same in every block, and at least one."""
    counts = np.unique(mask.sum(axis))
    if counts.size != 1:
        raise PreconditionError("blocks would keep different numbers of channels", why=f"{name} would be ragged")
    if counts[0] == 0:
        raise PreconditionError("no channel would be left", why=f"{name} would be empty")
    return int(counts[0])


def compact(array: Array, mask: Array, axis: int, name: str) -> Array:
    """Drop masked-out entries of ``array`` along ``axis``, keeping the order; the mask broadcasts to the array."""
    if mask.all():
        return array
    count = kept_count(mask, axis, f"constant '{name}'")
    order = np.argsort(~mask, axis=axis, kind="stable")
    order = np.take(order, np.arange(count), axis)
    if order.size == count:
        return np.take(array, order.ravel(), axis)
    form = [count if a == axis else size for a, size in enumerate(array.shape)]
    return np.take_along_axis(array, np.broadcast_to(order, form), axis)


def operate(graph: Graph, ctx: Propagation, keep: Array, rewrites: Mapping[str, Rewrite]) -> None:
    """Remove every atom whose entry in ``keep`` is False. The graph must be the one ``ctx`` was propagated on.

    Raises PreconditionError, before anything is changed, when a tensor would become ragged, or empty where more than a
    concatenation reads it.
    """
    surgery = Surgery(graph, ctx, keep)
    tensors = graph.tensors()
    empty = emptied(ctx, keep) & tensors.keys()
    going = leaves(graph, ctx, empty) if empty else frozenset[str]()
    checked = ctx.labels.keys() & tensors.keys() - (empty if going is not None else frozenset())
    for name in ctx.labels:
        if name in checked:
            surgery.shapes(tensors[name])
    for blocks in ctx.equal_counts:
        kept_count(keep[blocks], 1, "a grouped operator")
    gone = going or frozenset()
    sliced = {
        name: graph.kept(sliced_constant(tensors[name].array, layers, surgery, name))
        for name, layers in ctx.slices.items()
        if name in tensors and (not gone or any(reader.name not in gone for reader in tensors[name].consumers))
    }
    copies = [
        (reader, tensors[name], sliced_constant(tensors[name].array, layers, surgery, name))
        for name, readers in ctx.copies.items()
        for reader, layers in readers.items()
        if reader not in gone
    ]
    for node in graph.nodes:
        rewrite = rewrites.get(node.qualified)
        touched = node.name not in gone and any(t.name in ctx.labels for t in (*node.inputs, *node.outputs))
        if rewrite is not None and touched:
            rewrite(node, surgery)
        if gone and node.name not in gone and any(tensor.name in empty for tensor in node.inputs):
            node.set_inputs([tensor for tensor in node.inputs if tensor.name not in empty])
    for name, array in sliced.items():
        if array is not tensors[name].array:
            graph.set_array(tensors[name], array)
    _hand_out(graph, copies)


def _hand_out(graph: Graph, copies: list[tuple[str, Tensor, Array]]) -> None:
    """Give readers of a shared vector that is no longer theirs another one, one for all whose values are the same.

    A reader that its rule has written anew has its own already.
    """
    nodes = {node.name: node for node in graph.nodes}
    made: dict[tuple[str, bytes], Tensor] = {}
    for reader, vector, array in copies:
        if reader not in nodes or (array.shape == vector.array.shape and array.tobytes() == vector.array.tobytes()):
            continue
        key = vector.name, array.tobytes()
        if key not in made:
            made[key] = graph.constant(f"{reader}_{vector.name}", array)
        node = nodes[reader]
        node.set_inputs([made[key] if tensor == vector else tensor for tensor in node.inputs])


def sliced_value(surgery: Surgery, tensor: Tensor, values: Array) -> Array:
    """Remove from values, laid out as a stored tensor is read, what goes from the constant in which it lies."""
    source, order = stored_at(tensor), axes_of(tensor, surgery.graph.opset)
    layers = surgery.ctx.slices.get(source.name, [])
    return sliced_constant(values.transpose(np.argsort(order)), layers, surgery, source.name).transpose(order)


def sliced_constant(array: Array, layers: list[Labels], surgery: Surgery, name: str) -> Array:
    """Apply every layer to a constant, the ones that differ between blocks first."""
    for layer in sorted(layers, key=lambda layer: -len(layer.varying)):
        if layer.shrink is not None:
            array = compact(array, surgery.mask(layer), layer.shrink, name)
    return array
