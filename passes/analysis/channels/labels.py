"""What a rule may say: labels of tensors, ties, births, pins, equal counts, and how constants are sliced.

Every tensor carries one int64 array of *atoms* that broadcasts to its shape. Along an axis of size 1 all indices
behave alike. Atom 0 stands for what can never be removed. ``Labels.shrink`` names the axis that gets shorter
when atoms go; further axes along which atoms differ only number *blocks* that keep equally many each.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np

from ....ir.arguments import axis as axis_of
from ....ir.arguments import permutation
from ....ir.graph import Array, Graph, Node, Tensor
from ....ir.qonnx import QUANTISERS
from ....ir.shapes import Shape
from .atoms import squeeze_alike

FIXED = 0
VECTOR = 2**16  # entries of a shared constant that is rather copied than let tie its readers
SEEN_THROUGH = ("Cast", "DequantizeLinear", "Identity", "Transpose", *QUANTISERS)
"""What stands between a layer and its stored weight: formats, and the order of axes (a table that others read too)."""
FLOATS = (np.float32, np.float64, np.float16)
WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclass(frozen=True)
class Labels:
    """Atoms of one tensor (array broadcasts to its shape) and the axis that shrinks, None when nothing can go."""

    atoms: Array
    shrink: int | None = None

    @property
    def varying(self) -> list[int]:
        """Axes along which the atoms differ."""
        return [axis for axis, size in enumerate(self.atoms.shape) if size > 1]


@dataclass(frozen=True)
class Pin:
    """Why atoms stay: the node and operator that need them, the cause, and what would help."""

    node: str
    op: str
    why: str
    hint: str = ""


@dataclass(frozen=True)
class Birth:
    """Atoms first made on one axis of one tensor."""

    node: str
    tensor: str
    atoms: Array


@dataclass(frozen=True)
class Contraction:
    """A place where atoms end: input ``operand`` of ``node`` is summed over them.

    ``statistic``: they also go on from there, and what is summed only scales and moves what goes on.
    """

    node: str
    operand: int
    labels: Labels
    statistic: bool = False


@dataclass
class Propagation:
    """The state of one propagation over a graph. ``classes`` maps an atom to its class found by earlier rounds.

    ``read`` and ``demanded`` name the operands whose labels the rule at work has read, and the constants it slices.
    ``seen``: of which tensors only a run has shown the shape; ``kept``: layers that have no rule, by their output.
    ``numbers``: entries of lists of integers, see :mod:`.numbers`; ``minded``: those whose channel counts the rule at
    work sees to. ``copies``: how readers of a shared vector, by name, slice it otherwise than ``slices``.
    """

    graph: Graph
    shapes: dict[str, Shape]
    classes: Array
    seen: frozenset[str] = frozenset()
    labels: dict[str, Labels] = field(default_factory=dict)
    slices: dict[str, list[Labels]] = field(default_factory=dict)
    ties: list[tuple[Array, Array]] = field(default_factory=list)
    pins: list[tuple[Array, Pin]] = field(default_factory=list)
    kept: list[tuple[str, Pin]] = field(default_factory=list)
    births: list[Birth] = field(default_factory=list)
    contractions: list[Contraction] = field(default_factory=list)
    equal_counts: list[Array] = field(default_factory=list)
    copies: dict[str, dict[str, list[Labels]]] = field(default_factory=dict)
    sliced_by: dict[str, str] = field(default_factory=dict)
    registry: dict[tuple[str, Shape], int] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)
    demanded: set[str] = field(default_factory=set)
    numbers: dict[str, Array] = field(default_factory=dict)
    minded: set[str] = field(default_factory=set)

    def shape(self, tensor: Tensor) -> Shape:
        """Concrete shape of a tensor; KeyError when inference could not tell."""
        return self.shapes[tensor.name]

    def of(self, tensor: Tensor) -> Labels:
        """Labels of an activation: nothing removable when never set, as for graph inputs and constants."""
        self.read.add(tensor.name)
        rank = len(self.shapes.get(tensor.name, ()))
        return self.labels.get(tensor.name) or Labels(np.zeros((1,) * rank, np.int64))

    def set(self, tensor: Tensor, atoms: Array, shrink: int | None = None) -> None:
        """Give an output its labels; axes that do not vary are squeezed to size 1, the shrinking axis is inferred."""
        small = squeeze_alike(atoms)
        varying = [axis for axis, size in enumerate(small.shape) if size > 1]
        if not varying:
            self._pin_single(tensor, small)
            return
        labels = Labels(small, shrink if shrink in varying else varying[-1])
        if tensor.producer is not None:
            self.balance(tensor.producer, rows(labels), "one block of its output cannot shrink, so no other may")
        self.labels[tensor.name] = labels

    def _pin_single(self, tensor: Tensor, atoms: Array) -> None:
        if tensor.producer is not None:
            self.pin(atoms, tensor.producer, "all channels of its output could only go together")

    def balance(self, node: Node, blocks: Array, why: str) -> None:
        """Let the blocks, shape (blocks, block size), keep equally many atoms each; pin them when one cannot shrink."""
        if len(blocks) == 1:
            return
        if (blocks != FIXED).all() and blocks.shape[1] > 1:
            self.equal_counts.append(blocks)
        else:
            self.pin(blocks, node, why)

    def born(self, node: Node, tensor: Tensor, axes: Sequence[int]) -> Array:
        """Make new atoms on ``axes`` of ``tensor``; return them shaped to broadcast to it."""
        shape = self.shape(tensor)
        form = tuple(size if axis in axes else 1 for axis, size in enumerate(shape))
        start = self.registry.setdefault((tensor.name, form), self.registry_size())
        atoms = self.resolve(np.arange(start, start + prod(form))).reshape(form)
        self.births.append(Birth(node.name, tensor.name, atoms.ravel()))
        return atoms

    def resolve(self, atoms: Array) -> Array:
        """Replace atoms by the representative of their class, where an earlier round has found one."""
        known = atoms < len(self.classes)
        return np.where(known, self.classes[np.where(known, atoms, 0)], atoms)

    def registry_size(self) -> int:
        """Return the first unused atom: every birth has its own range, the same in every round."""
        if not self.registry:
            return 1
        (_, form), start = next(reversed(self.registry.items()))
        return start + prod(form)

    def tie(self, left: Array, right: Array, node: Node, why: str, hint: str = "") -> None:
        """Tie two broadcastable arrays element by element; what meets atom 0 is pinned with this reason."""
        a, b = (part.ravel() for part in np.broadcast_arrays(left, right))
        different = a != b
        a, b = a[different], b[different]
        fixed = (a == FIXED) | (b == FIXED)
        if fixed.any():
            self.pin(np.maximum(a, b)[fixed], node, why, hint)
        if not fixed.all():
            self.ties.append((a[~fixed], b[~fixed]))

    def pin(self, atoms: Array, node: Node, why: str, hint: str = "") -> None:
        """Keep atoms for good, and say why."""
        some = np.unique(atoms[atoms != FIXED])
        if some.size:
            self.pins.append((some, Pin(node.name, node.op, why, hint)))

    def alike(self, labels: Array, axes: Sequence[int], node: Node) -> Array:
        """Return the array with ``axes`` squeezed to size 1, tying along them; pin when nothing else would vary."""
        vary = [axis for axis in axes if labels.shape[axis] > 1]
        if not vary:
            return labels
        first = labels[tuple(slice(0, 1) if axis in vary else slice(None) for axis in range(labels.ndim))]
        if first.size == 1:
            self.pin(labels, node, "it works across the axis these channels lie on", "prune before this node")
            return np.zeros_like(first)
        self.tie(labels, first, node, "positions must be removed together")
        return first

    def contract(self, node: Node, operand: int, labels: Labels, *, statistic: bool = False) -> None:
        """Record that ``node`` sums over these atoms of its input."""
        if labels.atoms.any():
            self.contractions.append(Contraction(node.name, operand, labels, statistic))

    def demand(self, tensor: Tensor, layers: Sequence[Labels], node: Node, reader: Node | None = None) -> None:
        """Say how a constant is sliced when atoms go, a layer an axis. Readers must agree, or atoms tie or stay.

        A shared vector is sliced for each reader. ``reader``: what reads the constant for ``node``.
        """
        self.demanded.add(tensor.name)
        wanted = self._one_an_axis(layers, node)
        producer = tensor.producer
        if not tensor.is_constant and producer is not None and producer.qualified in SEEN_THROUGH:
            self._through(producer, wanted, node)
        elif not tensor.is_constant:
            why = f"its operand '{tensor.name}' is computed, not stored"
            for layer in (*wanted, self.of(tensor)):
                self.pin(layer.atoms, node, why, "fold constants first")
        else:
            self._slice(tensor, wanted, node, reader or node)

    def _slice(self, tensor: Tensor, wanted: list[Labels], node: Node, reader: Node) -> None:
        name = tensor.name
        first = self.sliced_by.setdefault(name, reader.name)
        if name not in self.slices:
            self.slices[name] = wanted
        elif first == reader.name or not self._is_vector(tensor):
            self._agree(tensor, self.slices[name], wanted, node)
        elif tensor in reader.inputs:
            own = self.copies.setdefault(name, {}).setdefault(reader.name, wanted)
            self._agree(tensor, own, wanted, node)
        elif first in (other.name for other in tensor.consumers):  # the subgraph keeps what is stored
            self.copies.setdefault(name, {})[first] = self.slices[name]
            self.slices[name], self.sliced_by[name] = wanted, reader.name
        else:
            self._agree(tensor, self.slices[name], wanted, node)

    def _is_vector(self, tensor: Tensor) -> bool:
        """Whether a constant is a small vector, along whichever axis, that no layer multiplies by."""
        if tensor.array.size > VECTOR or tensor.array.size != max(tensor.array.shape, default=1):
            return False
        weighs = any(reader.op in WEIGHTED and reader.inputs[1] == tensor for reader in tensor.consumers)
        return not weighs and not self.graph.is_output(tensor)

    def _one_an_axis(self, layers: Sequence[Labels], node: Node) -> list[Labels]:
        """Drop layers that remove nothing; tie two that lie on one axis."""
        found: dict[int, Labels] = {}
        for layer in layers:
            atoms = squeeze_alike(layer.atoms)
            if layer.shrink is None or not atoms.any():
                continue
            first = found.setdefault(layer.shrink, Labels(atoms, layer.shrink))
            self.tie(first.atoms, atoms, node, "two of its operands share this axis, and one is kept whole")
        return list(found.values())

    def _through(self, producer: Node, wanted: Sequence[Labels], node: Node) -> None:
        """Slice what a dequantisation, cast or transposition reads: values, and scales that lie along one axis."""
        if producer.op == "Transpose":
            order = permutation(producer, self.graph.opset, len(self.shape(producer.inputs[0])))
            wanted = [Labels(each.atoms.transpose(np.argsort(order)), order[each.shrink or 0]) for each in wanted]
        self.demand(producer.inputs[0], wanted, node, producer)
        for scale in producer.inputs[1:]:
            if scale.name:
                self.demand(scale, self._of_scale(producer, scale, wanted, node) if wanted else [], node, producer)

    def _of_scale(self, producer: Node, scale: Tensor, wanted: Sequence[Labels], node: Node) -> list[Labels]:
        extent, rank = self.shape(scale), len(self.shape(producer.inputs[0]))
        if prod(extent) == 1:
            return []
        broadcast = producer.qualified in QUANTISERS
        if sum(size > 1 for size in extent) > 1 or not (broadcast or len(extent) == 1):
            for layer in wanted:
                self.pin(layer.atoms, node, "its scales are blocked along several axes")
            return []
        place = extent.index(max(extent))
        axis = rank - len(extent) + place if broadcast else axis_of(producer, self.graph.opset, rank)
        others = [other for other in range(rank) if other != axis]
        along = [layer for layer in wanted if layer.shrink == axis]
        form = [-1 if at == place else 1 for at in range(len(extent))]
        return [Labels(self.alike(layer.atoms, others, node).reshape(form), place) for layer in along]

    def _agree(self, tensor: Tensor, known: list[Labels], wanted: Sequence[Labels], node: Node) -> None:
        first = self.sliced_by[tensor.name]
        why = f"the constant '{tensor.name}' is shared with '{first}', and the two cannot drop the same part of it"
        present = {layer.shrink: layer for layer in known}
        coming = {layer.shrink: layer for layer in wanted}
        for axis in present.keys() | coming.keys():
            if axis in present and axis in coming:
                self.tie(present[axis].atoms, coming[axis].atoms, node, why)
            else:
                self.pin((present.get(axis) or coming[axis]).atoms, node, why, "give each reader its own copy")


def rows(labels: Labels) -> Array:
    """Return the blocks of a tensor, shape (blocks, block size): they must keep equally many atoms each."""
    assert labels.shrink is not None
    return np.moveaxis(labels.atoms, labels.shrink, -1).reshape(-1, labels.atoms.shape[labels.shrink])
