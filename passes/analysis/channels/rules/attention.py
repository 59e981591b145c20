"""Attention as one operator: widths of scores and of values, equally many in every head.

Queries and keys end in their product, place by place; values go through. A head of keys or values that serves several
heads of queries is tied to all of them.
"""

from dataclasses import dataclass

import numpy as np

from .....ir.graph import Array, Node, Tensor
from ..labels import Labels, Propagation
from ..surgery import Surgery
from .elementwise import static
from .unprunable import whole

MULTI_HEAD = "com.microsoft.MultiHeadAttention"
_ASIDE = "its channels lie on another axis than the width of heads"
_PARTS = ("queries", "keys", "values")


@dataclass(frozen=True)
class _Form:
    """How many heads each part has, and up to where inputs are of the simple kind: states of a cache are not."""

    heads: tuple[int, int, int]
    bias: Tensor | None


def attention(ctx: Propagation, node: Node) -> None:
    """Attention of opset 23, and onnxruntime's MultiHeadAttention, without a cache of keys and values."""
    form = _form(ctx, node)
    ranks = {len(ctx.shape(tensor)) for tensor in node.inputs[:3] if tensor.name}
    missing = len(node.inputs) < 3 or not all(tensor.name for tensor in node.inputs[:3])
    if missing or form is None or len(ranks) != 1 or not ranks <= {3, 4}:
        whole(ctx, node, "only separate queries, keys and values without a cache are analysed")
        return
    found = [_by_head(ctx, node, t, heads) for t, heads in zip(node.inputs, form.heads, strict=False)]
    parts = [part for part in found if part is not None]
    if len(parts) < len(_PARTS):
        whole(ctx, node, _ASIDE)
        return
    query, key, value = parts
    shared = form.heads[0] // form.heads[1]
    why = "queries and keys are multiplied, and one of them is kept whole"
    ctx.tie(query, np.repeat(key, shared, 0), node, why)
    for place, part in enumerate((query, key, value)):
        ctx.balance(node, part, f"a head of its {_PARTS[place]} cannot shrink, so no other may")
    for place, part in enumerate((query, key)):
        ctx.contract(node, place, Labels(_laid(part, ranks), max(ranks) - 1))
    if form.bias is not None:
        atoms = np.concatenate([query.ravel(), key.ravel(), value.ravel()])
        ctx.demand(form.bias, [Labels(atoms, 0)], node)
    ctx.set(node.outputs[0], _laid(np.repeat(value, form.heads[0] // form.heads[2], 0), ranks), max(ranks) - 1)


def _form(ctx: Propagation, node: Node) -> _Form | None:
    opset, given = ctx.graph.opset, [tensor.name for tensor in node.inputs]
    if node.qualified == MULTI_HEAD:
        bias = node.inputs[3] if len(given) > 3 and given[3] else None
        count = int(node.attribute("num_heads", opset))
        simple = not any(given[6:]) and sum(bool(t.name) for t in node.outputs) == 1
        return _Form((count,) * 3, bias) if simple and (bias is None or static(bias)) else None
    if any(given[4:6]) or any(tensor.name for tensor in node.outputs[1:]):
        return None
    if len(ctx.shape(node.inputs[0])) == 4:
        heads = [ctx.shape(tensor)[1] for tensor in node.inputs[:3]]
    else:
        heads = [int(node.attribute(f"{part}_num_heads", opset, 0)) for part in ("q", "kv", "kv")]
    return _Form((heads[0], heads[1], heads[2]), None) if all(heads) else None


def _by_head(ctx: Propagation, node: Node, tensor: Tensor, heads: int) -> Array | None:
    """Return the atoms of a part, (heads, width); None where its channels lie on another axis."""
    labels, shape = ctx.of(tensor), ctx.shape(tensor)
    last = len(shape) - 1
    if labels.shrink not in (None, last) or static(tensor):
        return None
    others = [axis for axis in range(last) if axis != 1 or last == 2]
    atoms = ctx.alike(labels.atoms, others, node)
    extent = (*(1 for _ in range(last)), shape[last]) if last == 2 else (1, shape[1], 1, shape[3])
    return np.broadcast_to(atoms, extent).reshape(heads, -1)


def _laid(part: Array, ranks: set[int]) -> Array:
    return part.reshape(1, 1, -1) if 3 in ranks else part[None, :, None, :]


def keep_scale(node: Node, surgery: Surgery) -> None:
    """Write down the scale of scores, which else follows from the width of a head."""
    query = node.inputs[0]
    old, new = surgery.shapes(query)
    if old == new or node.attribute("scale", surgery.graph.opset):
        return
    name = "num_heads" if node.qualified == MULTI_HEAD else "q_num_heads"
    width = old[3] if len(old) == 4 else old[2] // int(node.attribute(name, surgery.graph.opset))
    node.set_attribute("scale", float(width) ** -0.5)


def rotary(ctx: Propagation, node: Node) -> None:
    """RotaryEmbedding: the two places that are turned together go together, alike in every head, with their angle."""
    x, opset = node.inputs[0], ctx.graph.opset
    rank = len(ctx.shape(x))
    heads = ctx.shape(x)[1] if rank == 4 else int(node.attribute("num_heads", opset, 0))
    if heads == 0 or rank not in (3, 4):
        whole(ctx, node, "how many heads it has is not said")
        return
    part = _by_head(ctx, node, x, heads)
    if part is None:
        whole(ctx, node, _ASIDE)
        return
    turned = _turned(node, part.shape[1], opset)
    half = turned // 2
    step = 2 if node.attribute("interleaved", opset, 0) else 1
    first, second = (slice(0, turned, 2), slice(1, turned, 2)) if step == 2 else (slice(half), slice(half, turned))
    part = np.broadcast_to(ctx.alike(part, [0], node), part.shape)
    angles = part[0, first]
    ctx.tie(angles, part[0, second], node, "two places are turned together, and one of them is kept whole")
    for cache in node.inputs[1:3]:
        extent = len(ctx.shape(cache))
        layer = Labels(angles.reshape((1,) * (extent - 1) + (-1,)), extent - 1)
        if static(cache):
            ctx.demand(cache, [layer], node)
        else:
            ctx.tie(layer.atoms, ctx.of(cache).atoms, node, f"its angles '{cache.name}' cannot lose any")
    ctx.set(node.outputs[0], _laid(part, {rank}), rank - 1)


def _turned(node: Node, width: int, opset: int) -> int:
    return int(node.attribute("rotary_embedding_dim", opset, 0)) or width


def resize_rotary(node: Node, surgery: Surgery) -> None:
    """Write how many places of a head are turned, where not all are."""
    x, opset = node.inputs[0], surgery.graph.opset
    labels = surgery.ctx.labels.get(x.name)
    if labels is None or not node.attribute("rotary_embedding_dim", opset, 0):
        return
    shape = surgery.ctx.shape(x)
    width = shape[3] if len(shape) == 4 else shape[2] // int(node.attribute("num_heads", opset))
    mask = np.broadcast_to(surgery.mask(labels), (1, *shape[1:]) if len(shape) == 4 else (1, 1, shape[2]))
    first = mask[0, 0, 0] if len(shape) == 4 else mask[0, 0, :width]
    node.set_attribute("rotary_embedding_dim", int(first[: _turned(node, width, opset)].sum()))
