"""Whether a rule says truly what an operator ties: removing channels must equal zeroing them where they end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper

from ..frontends.scripts import said
from ..ir.graph import Array, Graph
from ..passes.analysis.channels.groups import Channels, analyse
from ..passes.analysis.channels.masking import masked
from ..passes.analysis.channels.removal import keep_mask, remove
from .running import TOLERANCE, Feeds, distance, model_of, outputs_of, require

_FEATURES = 5
_OUTPUTS = 3


@dataclass(frozen=True)
class Live:
    """A computed operand of this shape, with channels on one ``axis``."""

    shape: tuple[int, ...]
    axis: int


Operand = Live | Array | None
Example = Callable[[np.random.Generator], tuple[Sequence[Operand], Mapping[str, Any]]]


@dataclass(frozen=True)
class _Case:
    """A network around one node: layers that bear its operands' channels, and one that reads its output's."""

    graph: Graph
    feeds: Feeds
    functions: tuple[onnx.FunctionProto, ...]

    def run(self, graph: Graph) -> list[Array]:
        return outputs_of(graph, self.feeds, self.functions)


def check_rule(
    op: str, example: Example, *, domain: str = "", reference: onnx.FunctionProto | None = None, seeds: int = 8
) -> None:
    """Raise AssertionError unless removing channels around an operator equals zeroing them, to 1e-5 in onnxruntime.

    ``example(rng)`` draws operands and attributes: :class:`Live` for what is computed, an array for what is stored,
    None for what is left out; give shapes, axes and attributes of every kind that the rule knows. ``reference`` is a
    model function that says what the operator computes, where onnxruntime lacks it. Some channels must be free in some
    example, or the rule is not tried at all; the error then lists what keeps them.
    """
    called = f"{domain}.{op}" if domain else op
    functions = () if reference is None else (reference,)
    tried, pins = 0, set[str]()
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        operands, attributes = example(rng)
        node = helper.make_node(op, [], ["y"], "node", domain=domain, **attributes)
        base = _case(node, operands, None, rng, functions)
        (made,) = base.run(base.graph)[:1]
        for axis in range(made.ndim):
            case = _case(node, operands, (made.ndim, axis, made.shape[axis]), rng, functions)
            channels = _analysed(case, called)
            pins |= {f"{pin.why}" for _, pin in channels.pins if pin.node == "node"}
            tried += _compare(case, channels, rng, f"{called}, seed {seed}, read along axis {axis}")
    reasons = "; ".join(sorted(pins)) or "no channels reach it"
    require(tried, f"no channels are free around {called}, so its rule is not tried: {reasons}")


def _analysed(case: _Case, called: str) -> Channels:
    try:
        return analyse(case.graph)
    except Exception as error:
        raise AssertionError(f"the rule for {called} fails: {said(error)}") from error


def _compare(case: _Case, channels: Channels, rng: np.random.Generator, where: str) -> bool:
    """Remove at random, and hold against the mask; return whether the mask changed the outputs."""
    kept = {group.name: _some(group.cells, rng) for group in channels.groups if group.width > 1}
    keep = keep_mask(channels, kept)
    if not kept or any(not keep[floor].any() for floor in channels.floors):
        return False
    pruned = case.graph.copy()
    try:
        remove(pruned, channels, kept)
        found = case.run(pruned)
    except Exception as error:
        raise AssertionError(f"{where}: what is left does not run: {said(error)}") from error
    wanted = case.run(masked(case.graph, channels, kept))
    gap = distance(wanted, found)
    require(gap <= TOLERANCE, f"{where}: removing channels differs from zeroing them by {gap:.1e}")
    return distance(case.run(case.graph), wanted) > TOLERANCE


def _some(cells: Array, rng: np.random.Generator) -> Array:
    count = int(rng.integers(1, cells.shape[1]))
    return np.concatenate([rng.choice(cell, count, replace=False) for cell in cells])


def _case(
    node: onnx.NodeProto,
    operands: Sequence[Operand],
    read: tuple[int, int, int] | None,
    rng: np.random.Generator,
    functions: tuple[onnx.FunctionProto, ...],
) -> _Case:
    """Build the network; ``read``: rank of the output, and the axis and its size that a layer sums over."""
    nodes, weights, inputs = list[onnx.NodeProto](), dict[str, Array](), dict[str, tuple[int, ...]]()
    names = []
    for place, operand in enumerate(operands):
        name = "" if operand is None else f"a{place}"
        names.append(name)
        if isinstance(operand, Live):
            shape = tuple(_FEATURES if axis == operand.axis else size for axis, size in enumerate(operand.shape))
            inputs[f"x{place}"] = shape
            weights[f"w{place}"] = rng.standard_normal((_FEATURES, operand.shape[operand.axis])) / 2
            nodes += _product(f"x{place}", f"w{place}", name, len(shape), operand.axis)
        elif operand is not None:
            weights[name] = operand
    own = onnx.NodeProto()
    own.CopyFrom(node)
    own.input.extend(names)
    nodes.append(own)
    if read is not None:
        rank, axis, size = read
        weights["w"] = rng.standard_normal((size, _OUTPUTS)) / np.sqrt(size)
        nodes += _product("y", "w", "z", rank, axis)
    model = model_of(nodes, weights, inputs, {"y" if read is None else "z": None})
    feeds = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in inputs.items()}
    return _Case(Graph.of(model), feeds, functions)


def _product(x: str, weight: str, y: str, rank: int, axis: int) -> list[onnx.NodeProto]:
    """Multiply a tensor with a matrix along one axis."""
    there = [other for other in range(rank) if other != axis] + [axis]
    back = np.argsort(there).tolist()
    return [
        helper.make_node("Transpose", [x], [f"{y}_last"], f"{y}_there", perm=there),
        helper.make_node("MatMul", [f"{y}_last", weight], [f"{y}_product"], f"{y}_layer"),
        helper.make_node("Transpose", [f"{y}_product"], [y], f"{y}_back", perm=back),
    ]
