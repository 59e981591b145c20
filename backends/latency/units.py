"""Fused units: one node of the graph that onnxruntime makes of ours, as a *kind* and the channel counts in it.

The kind is JSON text: operator, attributes, operand types and shapes, with ``a`` and ``b`` in place of widths. Units
that only move elements keep the operator alone, and the number of elements as their width.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

Dims = Sequence[int | str]

BLOCKED = "com.microsoft.nchwc"
_FROM_PLAIN = "plain input"  # few channels are read as they lie, not in blocks
_CONVOLUTIONS = {"Conv", "FusedConv"}
_LINEAR = {"FusedGemm", "FusedMatMul", "Gemm", "MatMul"}
_ACTIVATIONS = {"Clip", "Elu", "Erf", "FastGelu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "PRelu", "QuickGelu"}
_ACTIVATIONS |= {"Relu", "Sigmoid", "Softplus", "Tanh"}
_ELEMENTWISE = _ACTIVATIONS | {"Add", "BatchNormalization", "BiasGelu", "Div", "Mul", "Sub", "Sum"}
_POOLING = {"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"}
_OVER_AXES = {"LayerNormalization", "ReorderInput", "ReorderOutput", "Softmax"}
_PLAIN = _ELEMENTWISE | _POOLING | _OVER_AXES


@dataclass(frozen=True)
class Operand:
    """One input of a node as it ran: numpy's name of its type, its shape, and whether the model stores it."""

    dtype: str
    shape: tuple[int, ...]
    stored: bool


@dataclass(frozen=True)
class Unit:
    """One node: what it is, and how wide."""

    kind: str
    widths: tuple[int, ...]


@dataclass(frozen=True)
class NodeSpec:
    """A unit written out: what one node is built from. An omitted operand is None."""

    domain: str
    op: str
    attributes: dict[str, Any]
    operands: tuple[Operand | None, ...]


def unit_of(form: NodeSpec, block: int) -> Unit:
    """Find a node's kind and widths. ``block`` is how many channels one block of a blocked layout holds."""
    if any(isinstance(value, dict) for value in form.attributes.values()) or not form.operands:
        return _moving(form)
    if form.op in _CONVOLUTIONS:
        return _convolution(form, block)
    if form.op in _LINEAR:
        return _linear(form)
    return _plain(form) if form.op in _PLAIN else _moving(form)


def form_of(unit: Unit) -> NodeSpec | None:
    """Write a unit out again, None for one whose kind does not say enough to build it."""
    kind = json.loads(unit.kind)
    if "operands" not in kind:
        return None
    widths = dict(zip("ab", unit.widths, strict=False))

    def sizes(dims: Dims) -> tuple[int, ...]:
        return tuple(widths[dim] if isinstance(dim, str) else dim for dim in dims)

    operands = [o and Operand(o[0], sizes(o[1]), o[2] == "stored") for o in kind["operands"]]
    attributes = {
        name: widths.get(value, value) if isinstance(value, str) else value
        for name, value in kind["attributes"].items()
    }
    return NodeSpec(kind["domain"], kind["op"], attributes, tuple(operands))


def operator(kind: str) -> str:
    """Return the operator with its domain, as corrections name it."""
    read = json.loads(kind)
    return ".".join(filter(None, (read["domain"], read["op"])))


def grains(kind: str, block: int) -> tuple[int, ...]:
    """Return the multiple that each width of a kind has."""
    read = json.loads(kind)
    text = json.dumps(read.get("operands", ["a"]))
    axes = sum(f'"{name}"' in text for name in "ab")
    if read["domain"] != BLOCKED:
        return (1,) * axes
    first = {"ReorderInput": 4, _FROM_PLAIN: 1}.get(read.get("layout", read["op"]), block)
    return (first, block)[:axes]


def _convolution(form: NodeSpec, block: int) -> Unit:
    x, w = form.operands[0], form.operands[1]
    assert x is not None and w is not None
    into, out, group = x.shape[1], w.shape[0], int(form.attributes.get("group", 1))
    if group == into == out > 1:
        named = [_renamed(o, {0: "a"} if o and o.stored else {1: "a"}) for o in form.operands]
        return _unit(form, (out,), named, group="a")
    if group != 1:
        return _unit(form, (), [_renamed(o, {}) for o in form.operands])
    named = [_renamed(x, {1: "a"}), _renamed(w, {0: "b", 1: "a"})]
    named += [_renamed(o, {0: "b"} if o and o.stored else {1: "b"}) for o in form.operands[2:]]
    unit = _unit(form, (into, out), named)
    if form.domain != BLOCKED or into >= block:
        return unit
    return Unit(json.dumps(json.loads(unit.kind) | {"layout": _FROM_PLAIN}, sort_keys=True), unit.widths)


def _linear(form: NodeSpec) -> Unit:
    x, w = form.operands[0], form.operands[1]
    if x is None or w is None or not w.stored or len(w.shape) != 2 or form.attributes.get("transA"):
        return _unit(form, (), [_renamed(o, {}) for o in form.operands])
    turned = bool(form.attributes.get("transB"))
    into, out = w.shape[::-1] if turned else w.shape
    named = [_renamed(x, {len(x.shape) - 1: "a"}), _renamed(w, {int(turned): "a", 1 - int(turned): "b"})]
    for operand in form.operands[2:]:
        wide = operand is not None and operand.shape and operand.shape[-1] == out
        named.append(_renamed(operand, {len(operand.shape) - 1: "b"} if operand and wide else {}))
    return _unit(form, (into, out), named)


def _plain(form: NodeSpec) -> Unit:
    """Channels are axis 1 of images and matrices, the last axis of sequences."""
    first = form.operands[0]
    assert first is not None
    rank = len(first.shape)
    axis = rank - 1 if rank in (1, 3) else 1
    width = first.shape[axis] if rank else 1
    if width == 1:
        return _unit(form, (), [_renamed(o, {}) for o in form.operands])
    named = []
    for o in form.operands:
        axes = [] if o is None else range(len(o.shape)) if o.stored else [axis]
        places = [i for i in axes if o and i < len(o.shape) and o.shape[i] == width]
        named.append(_renamed(o, {places[0]: "a"} if places else {}))
    changed = {"channels": "a"} if "channels" in form.attributes else {}
    return _unit(form, (width,), named, **changed)


def _moving(form: NodeSpec) -> Unit:
    elements = sum(prod(o.shape) for o in form.operands if o is not None and not o.stored)
    return Unit(json.dumps({"domain": form.domain, "op": form.op}), (max(1, elements),))


def _renamed(operand: Operand | None, names: dict[int, str]) -> list[Any] | None:
    if operand is None:
        return None
    dims = [names.get(axis, size) for axis, size in enumerate(operand.shape)]
    return [operand.dtype, dims, "stored" if operand.stored else "computed"]


def _unit(form: NodeSpec, widths: tuple[int, ...], operands: list[list[Any] | None], **changed: str) -> Unit:
    attributes = form.attributes | changed
    kind = {"domain": form.domain, "op": form.op, "attributes": attributes, "operands": operands}
    return Unit(json.dumps(kind, sort_keys=True), widths)
