"""LSTM, GRU and RNN as products over all steps at once, then a Scan over what each step adds to them.

Masks stand for lengths of sequences: a state stays as it is, and outputs are zero, where a sequence has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnx.helper

from ...attributes import ACTIVATIONS
from ..sheet import Sheet, floats
from ..step import Step, repeated
from .scans import remember

_PLAIN = ("Relu", "Sigmoid", "Softplus", "Tanh")  # activations without numbers of their own
_RESETS = 3  # gates of a GRU, of which one resets
_REFUSED = ("clip", "input_forget", "layout")


@dataclass(frozen=True)
class _Way:
    """One direction of a layer, its parameters as names: turned weights (H, gates H), peepholes of the input, output
    and forget gate, and the bias of what is behind a reset gate.
    """

    sheet: Sheet
    functions: Sequence[str]
    recurrent: Sequence[str]
    inner_bias: str
    peepholes: Sequence[str]
    width: int

    def apply(self, place: int, x: str) -> str:
        """Write an activation."""
        return self.sheet.add(self.functions[place], x)

    def parts(self, x: str, count: int) -> list[str]:
        """Cut gates apart."""
        return self.sheet.several("Split", [x], count, axis=-1, num_outputs=count)


Cell = Callable[[_Way, str, Sequence[str]], list[str]]
"""Writes one step: from what it adds, (batch, gates H), and the states, new states."""


def lstm(step: Step) -> list[str]:
    """Lower an LSTM; its gates lie as input, output, forget, cell."""
    return _lowered(step, 4, 2, _lstm_cell)


def gru(step: Step) -> list[str]:
    """Lower a GRU; its gates lie as update, reset, hidden."""
    return _lowered(step, 3, 1, _gru_cell_reset_after if step.attribute("linear_before_reset", 0) else _gru_cell)


def rnn(step: Step) -> list[str]:
    """Lower a plain recurrent layer."""
    return _lowered(step, 1, 1, _rnn_cell)


def _lstm_cell(way: _Way, added: str, states: Sequence[str]) -> list[str]:
    state, memory = states
    sheet = way.sheet
    gates = way.parts(sheet.add("Add", added, sheet.add("MatMul", state, way.recurrent[0])), 4)
    seen = [sheet.add("Mul", hole, memory) for hole in way.peepholes[::2]]
    ins, forgets = (sheet.total([gates[place], *seen[at : at + 1]]) for at, place in enumerate((0, 2)))
    kept = sheet.add("Mul", way.apply(0, forgets), memory)
    new = sheet.add("Add", kept, sheet.add("Mul", way.apply(0, ins), way.apply(1, gates[3])))
    shown = sheet.total([gates[1], *(sheet.add("Mul", hole, new) for hole in way.peepholes[1:2])])
    return [sheet.add("Mul", way.apply(0, shown), way.apply(2, new)), new]


def _gru_cell(way: _Way, added: str, states: Sequence[str]) -> list[str]:
    sheet, (state,) = way.sheet, states
    outer, new = sheet.several("Split", [added, sheet.ints((2 * way.width, way.width))], 2, axis=-1)
    gates, hidden = way.recurrent
    both = sheet.add("Add", outer, sheet.add("MatMul", state, gates))
    update, reset = (way.apply(0, part) for part in way.parts(both, 2))
    read = sheet.add("MatMul", sheet.add("Mul", reset, state), hidden)
    return [_mixed(sheet, update, way.apply(1, sheet.total([new, read, way.inner_bias])), state)]


def _gru_cell_reset_after(way: _Way, added: str, states: Sequence[str]) -> list[str]:
    sheet, (state,) = way.sheet, states
    outer = way.parts(added, 3)
    inner = way.parts(sheet.add("MatMul", state, way.recurrent[0]), 3)
    update, reset = (way.apply(0, sheet.add("Add", outer[place], inner[place])) for place in (0, 1))
    read = sheet.add("Mul", reset, sheet.add("Add", inner[2], way.inner_bias))
    return [_mixed(sheet, update, way.apply(1, sheet.add("Add", outer[2], read)), state)]


def _rnn_cell(way: _Way, added: str, states: Sequence[str]) -> list[str]:
    sheet, (state,) = way.sheet, states
    return [way.apply(0, sheet.add("Add", added, sheet.add("MatMul", state, way.recurrent[0])))]


def _mixed(sheet: Sheet, share: str, new: str, old: str) -> str:
    """``new + share (old - new)``."""
    return sheet.add("Add", new, sheet.add("Mul", share, sheet.add("Sub", old, new)))


def _lowered(step: Step, gates: int, states: int, cell: Cell) -> list[str]:
    refused = next((name for name in _REFUSED if step.attribute(name)), None)
    if refused:
        raise step.refuse(f"its attribute '{refused}' is not followed")
    if not set(_functions(step)) <= set(_PLAIN):
        raise step.refuse("one of its activations is none of " + ", ".join(_PLAIN))
    found = [_direction(step, place, gates, states, cell) for place in range(step.shape(2)[0])]
    joined = [_joined(step.sheet, 1, [way[-1] for way in found])]
    joined += [_joined(step.sheet, 0, [way[place] for way in found]) for place in range(states)]
    return joined[: len(step.node.outputs)]


def _joined(sheet: Sheet, axis: int, ways: Sequence[str]) -> str:
    """Lay the directions along a new axis."""
    return sheet.add("Concat", *(sheet.add("Unsqueeze", way, sheet.ints([axis])) for way in ways), axis=axis)


def _functions(step: Step) -> list[str]:
    """Name the activations of all directions; onnxruntime takes them in small letters too."""
    names = step.attribute("activations") or ACTIVATIONS[step.node.op] * step.shape(2)[0]
    return [name.capitalize() for name in names]


def _direction(step: Step, place: int, gates: int, states: int, cell: Cell) -> list[str]:
    """Return the last states of one direction, and its outputs at every step."""
    sheet, width, functions = step.sheet, step.shape(2)[-1], _functions(step)
    each = len(functions) // step.shape(2)[0]
    weight, recurrent = (sheet.transpose(_of(step, index, place), (1, 0)) for index in (1, 2))
    added, bias = _added(step, place, weight, gates)
    cut = cell is _gru_cell
    parts = sheet.several("Split", [recurrent, sheet.ints((2 * width, width))], 2, axis=1) if cut else [recurrent]
    holes = sheet.several("Split", [_of(step, 7, place)], 3, axis=0, num_outputs=3) if step.has(7) else []
    way = _Way(sheet.inner(), functions[place * each : (place + 1) * each], parts, bias, holes, width)
    begun = [_begun(step, index, place) for index in (5, 6)[:states]]
    scanned = [added, _masks(step)] if step.has(4) else [added]
    return _scan(step, way, cell, begun, scanned, place == 1 or step.attribute("direction") == "reverse")


def _added(step: Step, place: int, weight: str, gates: int) -> tuple[str, str]:
    """Return what all steps add to their gates, and the bias that may lie behind a reset gate."""
    sheet, width = step.sheet, step.shape(2)[-1]
    added, nothing = sheet.add("MatMul", step.x(0), weight), sheet.constant(np.zeros(width, np.float32))
    if not step.has(3):
        return added, nothing
    outer, inner = sheet.several("Split", [_of(step, 3, place)], 2, axis=0, num_outputs=2)
    if gates != _RESETS:
        return sheet.total([added, outer, inner]), nothing
    front, last = sheet.several("Split", [inner, sheet.ints((2 * width, width))], 2, axis=0)
    return sheet.total([added, outer, sheet.pad(front, [0], [width])]), last


def _of(step: Step, index: int, place: int) -> str:
    """Take one direction of a parameter."""
    return step.sheet.add("Gather", step.x(index), step.sheet.constant(place, np.int64), axis=0)


def _begun(step: Step, index: int, place: int) -> str:
    """Return the first state of one direction, (batch, H)."""
    if step.has(index):
        return _of(step, index, place)
    shape = (step.shape(0)[1], step.shape(2)[-1])
    return repeated(step.sheet, step.sheet.constant(0.0), shape)


def _masks(step: Step) -> str:
    """Return 1 for every step, (steps, batch, 1), at which a sequence goes on."""
    steps, batch, _ = step.shape(0)
    sheet = step.sheet
    counted = sheet.constant(np.arange(steps).reshape(-1, 1, 1), np.int32)
    lengths = sheet.reshape(sheet.add("Cast", step.x(4), to=onnx.TensorProto.INT32), (1, batch, 1))
    return sheet.truth(sheet.add("Less", counted, lengths))


def _scan(step: Step, way: _Way, cell: Cell, begun: Sequence[str], scanned: Sequence[str], backward: bool) -> list[str]:
    """Write the Scan of one direction; return its last states and its outputs."""
    sheet, batch = way.sheet, step.shape(0)[1]
    states = [sheet.name("state") for _ in begun]
    added, *masks = [sheet.name("added") for _ in scanned]
    new = cell(way, added, states)
    shown = new[0]
    for mask in masks:
        shown = sheet.add("Mul", mask, new[0])
        changes = [sheet.add("Mul", mask, sheet.add("Sub", after, old)) for after, old in zip(new, states, strict=True)]
        new = [sheet.add("Add", old, change) for old, change in zip(states, changes, strict=True)]
    results = [sheet.add("Identity", each) for each in (*new, shown)]
    widths = dict.fromkeys(states, way.width) | {added: step.shape(1)[1]} | dict.fromkeys(masks, 1)
    inputs = [floats(name, (batch, width)) for name, width in widths.items()]
    outputs = [floats(name, (batch, way.width)) for name in results]
    body = onnx.helper.make_graph(sheet.nodes, "step", inputs, outputs, sheet.constants)
    form = {"scan_input_directions": [int(backward)] * len(scanned), "scan_output_directions": [int(backward)]}
    given = [*begun, *scanned]
    found = step.sheet.several("Scan", given, len(results), body=body, num_scan_inputs=len(scanned), **form)
    remember(step.sheet.nodes[-1], step.sheet)
    return found
