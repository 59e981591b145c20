"""GroupQueryAttention of onnxruntime: heads go as a whole, for its kernel takes one width of heads, a multiple of 8.

Where keys and values are kept in a cache, which is an input and an output of the model, every head of keys stays, and
loses equally many of the heads of queries that it serves. Without a cache it goes with all of them.
"""

import numpy as np

from .....ir.graph import Array, Node, Tensor
from ..labels import Labels, Propagation
from ..surgery import Surgery
from .elementwise import static
from .unprunable import whole

GROUP_QUERY = "com.microsoft.GroupQueryAttention"
_CACHES, _BIAS, _SINK = slice(3, 5), 10, 11
_TOGETHER = "a head goes as a whole: onnxruntime takes one width of heads, a multiple of 8"
_EQUAL = "every head of keys has to serve equally many heads of queries, and one serves a single one or has to stay"
_SERVED = "a head of keys goes with the heads of queries that it serves"


def group_query(ctx: Propagation, node: Node) -> None:
    """Separate queries, keys and values; the positions, lengths and angles beside them hold no channels."""
    given = [bool(tensor.name) for tensor in node.inputs]
    if len(given) < 3 or not all(given[:3]) or any(given[_SINK + 1 :]) or not _bias_serves_all(ctx, node):
        whole(ctx, node, "only separate queries, keys and values of floats are analysed")
        return
    opset = ctx.graph.opset
    count, served = (int(node.attribute(name, opset)) for name in ("num_heads", "kv_num_heads"))
    query, key, value = (_by_head(ctx, node, tensor, served) for tensor in node.inputs[:3])
    if _is_cached(ctx, node):
        heads = query.reshape(count, -1)
        ctx.tie(heads, heads[:, :1], node, _TOGETHER)
        ctx.balance(node, heads[:, 0].reshape(served, -1), _EQUAL)
        for part in (key, value):
            ctx.pin(part, node, "its heads of keys and values lie in a cache that the model is given")
    else:
        heads = query[:, :1]
        for part in (query, key, value):
            ctx.tie(part, heads, node, _SERVED)
    left = np.repeat(heads[:, 0], count // len(heads))
    if len(given) > _SINK and given[_SINK]:
        ctx.demand(node.inputs[_SINK], [Labels(left, 0)], node)
    ctx.set(node.outputs[0], np.repeat(left, query.size // count).reshape(1, 1, -1), 2)


def _is_cached(ctx: Propagation, node: Node) -> bool:
    presents = [tensor for tensor in node.outputs[1:] if tensor.name]
    read = any(tensor.consumers or ctx.graph.is_output(tensor) for tensor in presents)
    return read or any(tensor.name for tensor in node.inputs[_CACHES])


def _bias_serves_all(ctx: Propagation, node: Node) -> bool:
    bias = node.inputs[_BIAS] if len(node.inputs) > _BIAS else Tensor.absent()
    return not bias.name or ctx.shape(bias)[1] == 1


def _by_head(ctx: Propagation, node: Node, tensor: Tensor, heads: int) -> Array:
    """Return the atoms of a part, (heads of keys, width of what each serves)."""
    width = ctx.shape(tensor)[2]
    labels = ctx.of(tensor)
    if static(tensor) or labels.shrink not in (None, 2):
        ctx.pin(labels.atoms, node, "its channels lie on another axis than its heads")
        return np.zeros((heads, width // heads), np.int64)
    return np.broadcast_to(ctx.alike(labels.atoms, [0, 1], node), (1, 1, width)).reshape(heads, -1)


def resize_heads(node: Node, surgery: Surgery) -> None:
    """Write down how many heads are left."""
    old, new = surgery.shapes(node.outputs[0])
    names = ["num_heads"] if _is_cached(surgery.ctx, node) else ["num_heads", "kv_num_heads"]
    for name in names if old != new else ():
        node.set_attribute(name, int(node.attribute(name, surgery.graph.opset)) * new[2] // old[2])
