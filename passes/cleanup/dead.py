"""``remove-dead-channels``: take out channels that nothing reads, and channels that are constant.

A channel with value ``k`` adds ``k · Σ_taps W`` to what reads it, wherever no zero padding comes between: that goes
into the bias.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ...ir.graph import Array, Graph
from ..analysis.channels.groups import Channels, analyse
from ..analysis.channels.origins import Origins, composed, removed
from ..analysis.channels.vanishing import may_vanish
from ..base import Context, Outcome
from ..order import EXACT
from .choice import choose, kept, paying
from .constant_channels import ConstantChannels, constant_rows
from .constant_operands import store_operands
from .ends import End, ends, no_classes


@dataclass(frozen=True)
class RemoveDeadChannels:
    """Remove channels whose readers all have zero weights for them, or that have one value for every input.

    ``multiple``: as many stay as make a width a multiple of it, or as it was; 0 stands for the multiple of channels
    that pays on the machine, for a layer of 31 channels can take longer than one of 32.

    A channel with a constant other than 0 goes only if every layer that reads it can take it into its bias: it adds no
    zero padding, and its weight and bias are stored as floats. Operands that are the same for every input are stored
    where they are small, and a part of a concatenation goes whole. Exact up to rounding.
    """

    multiple: int = 1
    name: ClassVar[str] = "remove-dead-channels"
    preserves: ClassVar[frozenset[str]] = EXACT

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Rewrite ``graph`` until nothing changes: what only dead channels read is dead in the next round."""
        count = absorbed = operands = 0
        left: Origins = {}
        while True:
            channels = context.view(graph).channels
            if stored := store_operands(graph, channels):
                operands += stored
                context.changed()
                continue
            states = _states(graph, channels)
            gone = self._choose(channels, states, context)
            if not gone.any():
                break
            context.changed()
            folded = sum(_absorb(state, gone) for state in states)
            if folded:
                channels = analyse(graph)
                gone = self._choose(channels, _states(graph, channels), context)
            left = composed(left, removed(graph, channels, kept(channels, gone)))
            context.changed()
            count, absorbed = count + int(gone.sum()), absorbed + folded
        if not count and not operands:
            return Outcome(False)
        notes = [f"removed {count} dead channels, {absorbed} constants went into biases"]
        if operands:
            notes.append(f"{operands} operands are the same for every input")
        return Outcome(True, tuple(notes), {"channels": count, "absorbed": absorbed, "operands": operands}, left=left)

    def _choose(self, channels: Channels, states: list[_State], context: Context) -> Array:
        dead = _dead(channels, states)
        floors = tuple(floor for floor in channels.floors if (dead[floor] < 0).any() or not may_vanish(channels, floor))
        return choose(replace(channels, floors=floors), dead, False, paying(self.multiple, context))


@dataclass(frozen=True)
class _State:
    """An end of channels, and for every position of its labels whether it is read, and whether that cannot change.

    ``constant``: the value of every input channel of the layer, NaN where unknown.
    """

    end: End
    read: Array
    stuck: Array
    constant: Array


def _states(graph: Graph, channels: Channels) -> list[_State]:
    values = ConstantChannels(channels.context)
    return [_state(end, values) for end in ends(graph, channels, sighted=True)]


def _state(end: End, values: ConstantChannels) -> _State:
    layer = end.layer
    if layer is None:
        everywhere = values.of(end.node.inputs[end.operand]).values != 0
        return _State(end, everywhere, everywhere, np.zeros(0))
    constant = values.along(layer.source, layer.axis_in).values
    used = (layer.matrix != 0).any((1, 3)).ravel()
    read = used & (constant != 0)
    absorbs = ~np.isnan(constant) & (not layer.uneven and layer.adds_bias)
    return _State(end, read, read & ~absorbs, constant)


def _dead(channels: Channels, states: list[_State]) -> Array:
    """Return 0 for every class that may go, -1 for the others."""
    stays = no_classes(channels)
    for state in states:
        if state.end.layer is not None:
            stays[state.end.classes[state.stuck]] = True
        else:
            atoms, stuck = np.broadcast_arrays(state.end.labels.atoms, state.stuck)
            stays[np.unique(atoms[stuck])] = True
    return np.where(stays, -1, 0)


def _absorb(state: _State, gone: Array) -> int:
    """Move what channels that go add to a layer into its bias, and zero their weights; return how many."""
    layer = state.end.layer
    if layer is None:
        return 0
    moved = state.read & gone[state.end.classes]
    if not moved.any():
        return 0
    matrix = layer.matrix
    groups, _, columns, _ = matrix.shape
    added = layer.gain * constant_rows(matrix, np.where(moved, state.constant, 0.0))
    layer.set_matrix(np.where(moved.reshape(groups, 1, columns, 1), matrix.dtype.type(0), matrix))
    layer.add_bias(added)
    return int(moved.sum())
