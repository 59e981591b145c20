"""MatMul, Gemm, Einsum: one rule over letters. A letter summed over ends atoms, one only a constant has bears them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .....ir.graph import Array, Node, Tensor
from ..labels import Labels, Propagation
from .elementwise import merge, static
from .unprunable import whole


@dataclass(frozen=True)
class Operand:
    """One factor: its tensor, its place among the node's inputs, and a letter an axis."""

    tensor: Tensor
    index: int
    letters: str


def matmul(ctx: Propagation, node: Node) -> None:
    """``a @ b`` with numpy's batch broadcasting and 1-D cases."""
    a, b = node.inputs[:2]
    rank_a, rank_b = len(ctx.shape(a)), len(ctx.shape(b))
    batch = "ABCDEFGHIJ"[: max(rank_a, rank_b, 2) - 2]
    left = batch[len(batch) - max(rank_a - 2, 0) :] + ("xy" if rank_a > 1 else "y")
    right = batch[len(batch) - max(rank_b - 2, 0) :] + ("yz" if rank_b > 1 else "y")
    result = batch + "x" * (rank_a > 1) + "z" * (rank_b > 1)
    contract(ctx, node, [Operand(a, 0, left), Operand(b, 1, right)], result)


def gemm(ctx: Propagation, node: Node) -> None:
    """``alpha A' B' + beta C`` in all four transpositions."""
    opset = ctx.graph.opset
    left = "yx" if node.attribute("transA", opset, 0) else "xy"
    right = "zy" if node.attribute("transB", opset, 0) else "yz"
    contract(ctx, node, [Operand(node.inputs[0], 0, left), Operand(node.inputs[1], 1, right)], "xz")
    if len(node.inputs) > 2 and node.inputs[2].name:
        out = node.outputs[0]
        atoms, shrink = merge(ctx, node, [out, node.inputs[2]], ctx.shape(out))
        ctx.set(out, atoms, shrink)


def einsum(ctx: Propagation, node: Node) -> None:
    """Explicit equations without ellipsis and repeated letters; others keep their operands whole."""
    equation = str(node.attribute("equation", ctx.graph.opset)).replace(" ", "")
    terms, arrow, result = equation.partition("->")
    parts = terms.split(",")
    if not arrow or "." in equation or any(len(set(part)) < len(part) for part in parts):
        whole(ctx, node, "implicit or repeated indices are not analysed")
        return
    operands = [Operand(tensor, i, part) for i, (tensor, part) in enumerate(zip(node.inputs, parts, strict=True))]
    contract(ctx, node, operands, result)


def contract(ctx: Propagation, node: Node, operands: Sequence[Operand], result: str) -> None:
    """Apply the rule; see the module's first line."""
    live = [op for op in operands if not static(op.tensor)]
    passed: tuple[Array, str] | None = None
    for operand in live:
        labels = ctx.of(operand.tensor)
        if labels.shrink is None:
            continue
        letter = operand.letters[labels.shrink]
        atoms = _tie_partners(ctx, node, operand, operands, labels)
        if letter not in result:
            ctx.contract(node, operand.index, Labels(atoms, labels.shrink))
        elif passed is None:
            passed = (_to_result(ctx, node, operand.letters, atoms, result), letter)
        elif passed[1] != letter:
            ctx.pin(labels.atoms, node, "two independent channel axes meet in its output")
    _demand_constants(ctx, node, operands, live, result, passed is not None)
    if passed is not None:
        ctx.set(node.outputs[0], passed[0], result.index(passed[1]))


def _tie_partners(ctx: Propagation, node: Node, operand: Operand, operands: Sequence[Operand], labels: Labels) -> Array:
    """Tie an operand's atoms to those of every other activation that shares its shrinking letter."""
    atoms, letter = labels.atoms, operand.letters[labels.shrink or 0]
    for other in operands:
        if other.index == operand.index or _size(ctx, other, letter) == 1:
            continue
        absent = [axis for axis, name in enumerate(operand.letters) if _size(ctx, other, name) == 1]
        atoms = ctx.alike(atoms, absent, node)
        if static(other.tensor):
            continue
        mine = _arranged(atoms, operand.letters, other.letters)
        why = f"it is multiplied with '{other.tensor.name}', whose channels cannot be removed"
        ctx.tie(mine, ctx.of(other.tensor).atoms, node, why, "prune before this node")
    return atoms


def _size(ctx: Propagation, operand: Operand, letter: str) -> int:
    return ctx.shape(operand.tensor)[operand.letters.index(letter)] if letter in operand.letters else 1


def _arranged(atoms: Array, letters: str, wanted: str) -> Array:
    """Rearrange axes to ``wanted`` letters; letters not wanted must be alike already, missing ones get size 1."""
    first = atoms[tuple(slice(None) if name in wanted else 0 for name in letters)]
    names = [name for name in letters if name in wanted]
    order = sorted(range(len(names)), key=lambda axis: wanted.index(names[axis]))
    return np.expand_dims(first.transpose(order), [place for place, name in enumerate(wanted) if name not in names])


def _to_result(ctx: Propagation, node: Node, letters: str, atoms: Array, result: str) -> Array:
    lost = [axis for axis, name in enumerate(letters) if name not in result]
    return _arranged(ctx.alike(atoms, lost, node), letters, result)


def _demand_constants(
    ctx: Propagation, node: Node, operands: Sequence[Operand], live: Sequence[Operand], result: str, taken: bool
) -> None:
    """Slice every constant factor along the letters it shares, and let atoms be born on letters only it has."""
    for operand in operands:
        if not static(operand.tensor):
            continue
        layers = []
        for other in live:
            labels = ctx.of(other.tensor)
            if labels.shrink is not None and _size(ctx, operand, other.letters[labels.shrink]) > 1:
                absent = [axis for axis, name in enumerate(other.letters) if _size(ctx, operand, name) == 1]
                atoms = _arranged(ctx.alike(labels.atoms, absent, node), other.letters, operand.letters)
                layers.append(Labels(atoms, operand.letters.index(other.letters[labels.shrink])))
        free = _free_letters(ctx, operand, operands, result)
        if free and not taken:
            layers.append(_bear(ctx, node, operand, free, result))
        ctx.demand(operand.tensor, layers, node)


def _free_letters(ctx: Propagation, operand: Operand, operands: Sequence[Operand], result: str) -> str:
    others = [o for o in operands if o.index != operand.index]
    return "".join(
        name
        for name in operand.letters
        if name in result and _size(ctx, operand, name) > 1 and all(_size(ctx, o, name) == 1 for o in others)
    )


def _bear(ctx: Propagation, node: Node, operand: Operand, free: str, result: str) -> Labels:
    out = node.outputs[0]
    atoms = ctx.born(node, out, [result.index(name) for name in free])
    shrink = max(result.index(name) for name in free)
    ctx.set(out, atoms, shrink)
    return Labels(_arranged(atoms, result, operand.letters), operand.letters.index(result[shrink]))
