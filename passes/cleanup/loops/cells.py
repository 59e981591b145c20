"""The equations of GRU, LSTM and RNN, found in what a step computes, with weights laid out as ONNX does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ....ir.attributes import ACTIVATIONS
from ....ir.graph import Array
from .terms import Applied, Given, Monomial, Product, Sum, Unlike, monomial

_SQUASHING = ("Relu", "Sigmoid", "Tanh")


@dataclass(frozen=True)
class Gate:
    """What stands inside of a gate's function: ``weight`` times the input, ``recurrence`` times the state, and a bias.

    Shapes (input, hidden), (hidden, hidden), (hidden,). ``inner`` is the bias that a reset scales with the state.
    """

    weight: Array
    recurrence: Array
    bias: Array
    inner: Array


@dataclass(frozen=True)
class Cell:
    """A layer: ``states`` are what it carries on, the hidden one first; ``gates`` stand in ONNX's order."""

    op: str
    source: Given
    states: Sequence[Given]
    gates: Sequence[Gate]
    functions: list[str]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes of the operator, but for what is its default."""
        named = {} if self.functions == ACTIVATIONS[self.op] else {"activations": self.functions}
        return {"hidden_size": self.states[0].width, **named, **self.options}

    @property
    def weights(self) -> tuple[Array, Array, Array]:
        """W (1, gates, input), R (1, gates, hidden) and B (1, twice gates), all in float32."""
        weight, recurrence = ([getattr(gate, name).T for gate in self.gates] for name in ("weight", "recurrence"))
        bias = [gate.bias for gate in self.gates] + [gate.inner for gate in self.gates]
        joined = (np.concatenate(arrays)[None] for arrays in (weight, recurrence, bias))
        first, second, third = (array.astype(np.float32) for array in joined)
        return first, second, third


def simple(state: Given, following: Sum) -> Cell:
    """Read an RNN: ``f(W x + R h + b)``. Raises Unlike."""
    (function,) = _single(following, 1)
    source = _source(function.of, state)
    return Cell("RNN", source, [state], [_gate(function.of, (source,), (state,))], [function.op])


def gated(state: Given, following: Sum) -> Cell:
    """Read a GRU: ``z h + (1 - z) n``, or with z and 1 - z in each other's place. Raises Unlike."""
    update, new = _mixture(state, following)
    turned = not following.equals({(new,): 1, monomial(update, state): 1, monomial(update, new): -1})
    if turned and not following.equals({(state,): 1, monomial(update, state): -1, monomial(update, new): 1}):
        raise Unlike
    if turned and update.op != "Sigmoid":
        raise Unlike
    inside = Sum({}, update.width).plus(update.of, -1) if turned else update.of
    source = _source(update.of, state)
    before, after = _resets(new.of, state)
    (reset,) = _functions(tuple(before + after), 1)
    if reset.op != update.op:
        raise Unlike
    ends = (source,), (state,)
    candidate = _gate(new.of, (source,), monomial(reset, state)) if before else _after(new.of, ends, reset)
    gates = [_gate(inside, *ends), _gate(reset.of, *ends), candidate]
    options = {"linear_before_reset": 1} if after else {}
    return Cell("GRU", source, [state], gates, [update.op, new.op], options)


def with_memory(state: Given, memory: Given, following: Sum, remembered: Sum) -> Cell:
    """Read an LSTM: ``o φ(c)`` of the memory ``c = f c + i g``. Raises Unlike."""
    output, squashed = sorted(_single(following, 2), key=lambda each: each.of.equals(remembered.terms))
    kept = next((key for key in remembered.terms if memory in key), ())
    added = next((key for key in remembered.terms if memory not in key), ())
    once = kept.count(memory) == 1
    if not once or not squashed.of.equals(remembered.terms) or not remembered.equals({kept: 1, added: 1}):
        raise Unlike
    (forget,) = _functions(tuple(atom for atom in kept if atom is not memory), 1)
    entering, new = sorted(_functions(added, 2), key=lambda each: each.op != forget.op)
    if not entering.op == forget.op == output.op:
        raise Unlike
    source = _source(forget.of, state)
    gates = [_gate(gate.of, (source,), (state,)) for gate in (entering, output, forget, new)]
    return Cell("LSTM", source, [state, memory], gates, [forget.op, new.op, squashed.op])


def _single(following: Sum, count: int) -> tuple[Applied, ...]:
    """Return the factors of a sum that is one product of so many functions."""
    key = next(iter(following.terms), ())
    if not following.equals({key: 1}):
        raise Unlike
    return _functions(key, count)


def _functions(atoms: Monomial, count: int) -> tuple[Applied, ...]:
    found = tuple(atom for atom in atoms if isinstance(atom, Applied) and atom.op in _SQUASHING)
    if not len(found) == len(atoms) == count:
        raise Unlike
    return found


def _mixture(state: Given, following: Sum) -> tuple[Applied, Applied]:
    """Return z and n, of which z stands in a product with the state and both in another."""
    pairs = [key for key in following.terms if len(key) == 2]
    of_state, of_new = sorted(pairs, key=lambda key: state not in key) if len(pairs) == 2 else ((), ())
    update, new = sorted(_functions(of_new, 2), key=lambda each: each not in of_state)
    return update, new


def _resets(inside: Sum, state: Given) -> tuple[list[Applied], list[Applied]]:
    """Return the gates that scale the state in front of its product, and those behind it."""
    products = [key[0].source for key in inside.terms if len(key) == 1 and isinstance(key[0], Product)]
    before = {atom for key in products if state in key for atom in key if isinstance(atom, Applied)}
    after = {atom for key in inside.terms for atom in key if isinstance(atom, Applied)}
    return list(before), list(after)


def _after(inside: Sum, ends: tuple[Monomial, Monomial], reset: Applied) -> Gate:
    """Read ``W x + b + r (R h + c)``."""
    outer = Sum({key: factor for key, factor in inside.terms.items() if reset not in key}, inside.width)
    scaled = {
        monomial(*(atom for atom in key if atom is not reset)): factor
        for key, factor in inside.terms.items()
        if key.count(reset) == 1
    }
    source, state = ends
    rest = _gate(outer, source, state)
    inner = _gate(Sum(scaled, inside.width), source, state)
    if len(outer.terms) + len(scaled) != len(inside.terms) or rest.recurrence.any() or inner.weight.any():
        raise Unlike
    return Gate(rest.weight, inner.recurrence, rest.bias, inner.bias)


def _source(inside: Sum, state: Given) -> Given:
    """Return what a gate reads besides the state."""
    found = {key[0].source for key in inside.terms if len(key) == 1 and isinstance(key[0], Product)} - {(state,)}
    if len(found) != 1:
        raise Unlike
    (source,) = found
    if len(source) != 1 or not isinstance(source[0], Given):
        raise Unlike
    return source[0]


def _gate(inside: Sum, source: Monomial, state: Monomial) -> Gate:
    """Read ``W x + R h + b``; Unlike where anything else is added."""
    width = inside.width
    matrices = {key: np.zeros((key[0].width, width)) for key in (source, state)}
    bias = np.zeros(width)
    for key, factor in inside.terms.items():
        atom = key[0] if len(key) == 1 else None
        if not key:
            bias = bias + factor
        elif isinstance(atom, Product) and atom.source in matrices:
            matrices[atom.source] = matrices[atom.source] + atom.matrix * factor
        else:
            raise Unlike
    return Gate(matrices[source], matrices[state], bias, np.zeros(width))
