"""One operator with labelled operands, and what its rule says, as text.

Atoms given to operands are small numbers; atoms that the rule bears start at 11. The text has one statement a line:

    y@1: 11 12 | 13 14    labels of output ``y``: axis 1 shrinks, blocks are parted by a bar
    w@0: 11 12            the constant ``w`` is sliced along axis 0
    ends x@1: 1 2         the operand ``x`` is summed over these channels
    tie 1=3 2=4           these go together
    equal 1 2 | 3 4       every block keeps equally many
    pin 1 2: why          these stay
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from optimise_onnx.ir.graph import Graph
from optimise_onnx.ir.shapes import concrete
from optimise_onnx.passes.analysis.channels.labels import Labels, Propagation, rows
from optimise_onnx.passes.analysis.channels.rules.table import propagate

Array = NDArray[Any]
_BORN = 11
_OPERANDS = "xwbcdefg"
_OUTPUTS = "yzuv"


@dataclass(frozen=True)
class Live:
    """A computed operand: its shape, and atoms that broadcast to it."""

    shape: tuple[int, ...]
    labels: Labels | None = None


@dataclass(frozen=True)
class Case:
    """An operator, its operands — called x, w, b, c, d in order —, and the text its rule must give."""

    op: str
    operands: Sequence[Live | Array | None]
    expected: str
    attributes: dict[str, Any] = field(default_factory=dict)
    opset: int = 17
    outputs: int = 1

    def text(self) -> str:
        """Apply the rule once, and print what it says."""
        graph = Graph.of(self._model())
        live = {name: o for name, o in zip(_OPERANDS, self.operands, strict=False) if isinstance(o, Live)}
        shapes = concrete(graph, {name: operand.shape for name, operand in live.items()})
        context = Propagation(graph, shapes, np.zeros(1, np.int64), registry={("given", (_BORN - 1,)): 1})
        context.labels.update({name: operand.labels for name, operand in live.items() if operand.labels})
        propagate(context, graph.nodes[0])
        return "\n".join(_statements(context))

    def _model(self) -> onnx.ModelProto:
        inputs, constants, names = [], [], []
        for name, operand in zip(_OPERANDS, self.operands, strict=False):
            names.append("" if operand is None else name)
            if isinstance(operand, Live):
                inputs.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, operand.shape))
            elif operand is not None:
                constants.append(numpy_helper.from_array(operand, name))
        outputs = list(_OUTPUTS[: self.outputs])
        domain, _, op = self.op.rpartition(".")
        node = helper.make_node(op, names, outputs, name="node", domain=domain, **self.attributes)
        results = [helper.make_tensor_value_info(name, onnx.TensorProto.UNDEFINED, None) for name in outputs]
        graph = helper.make_graph([node], "golden", inputs, results, constants)
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets)


def _statements(context: Propagation) -> Iterator[str]:
    for name in _OUTPUTS:
        if name in context.labels:
            yield f"{name}@{context.labels[name].shrink}: {_shown(context.labels[name])}"
    for name, layers in context.slices.items():
        for layer in sorted(layers, key=lambda layer: layer.shrink or 0):
            yield f"{name}@{layer.shrink}: {_shown(layer)}"
    for end in context.contractions:
        yield f"ends {_OPERANDS[end.operand]}@{end.labels.shrink}: {_shown(end.labels)}"
    for left, right in context.ties:
        yield "tie " + " ".join(dict.fromkeys(f"{a}={b}" for a, b in zip(left, right, strict=True)))
    yield from dict.fromkeys(f"equal {_parted(blocks)}" for blocks in context.equal_counts)
    for atoms, pin in context.pins:
        yield f"pin {_row(atoms)}: {pin.why}"


def _shown(labels: Labels) -> str:
    return _parted(rows(labels))


def _parted(blocks: Array) -> str:
    return " | ".join(map(_row, blocks))


def _row(atoms: Array) -> str:
    return " ".join(map(str, atoms.tolist()))


# --- operands ----------------------------------------------------------------------------------------------


def plain(*shape: int) -> Live:
    """An operand whose channels are fixed."""
    return Live(shape)


def channels(*atoms: int, side: int = 4) -> Live:
    """[2, C, side, side]."""
    return Live((2, len(atoms), side, side), Labels(np.array(atoms).reshape(1, -1, 1, 1), 1))


def features(*atoms: int) -> Live:
    """[2, C]."""
    return Live((2, len(atoms)), Labels(np.array(atoms).reshape(1, -1), 1))


def tokens(*atoms: int) -> Live:
    """[2, 5, C]."""
    return Live((2, 5, len(atoms)), Labels(np.array(atoms).reshape(1, 1, -1), 2))


def heads(*blocks: Sequence[int]) -> Live:
    """[2, 5, blocks, C]: every block keeps equally many."""
    atoms = np.array(blocks)
    return Live((2, 5, *atoms.shape), Labels(atoms.reshape(1, 1, *atoms.shape), 3))


def weight(*shape: int) -> Array:
    """A stored float tensor."""
    return np.full(shape, 0.5, np.float32)


def by_head(*blocks: Sequence[int]) -> Live:
    """[2, blocks, 5, C]: every block keeps equally many."""
    atoms = np.array(blocks)
    return Live((2, len(atoms), 5, atoms.shape[1]), Labels(atoms[np.newaxis, :, np.newaxis], 3))


def ints(*values: int) -> Array:
    """A stored vector of integers."""
    return np.array(values, np.int64)
