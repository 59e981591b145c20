"""What exporters and people write: shared and quantised weights, weights that are computed, lookups, Einsum, LSTM."""

from __future__ import annotations

import numpy as np

from .sketch import Sketch


def shared_conv(s: Sketch, x: str) -> str | None:
    """Conv with the weight and bias of an earlier one, where it fits."""
    fits = [p for p in s.parameters if s.rank(x) == 4 and s.b.size(p[0]) == s.sizes(x)[0] and len(s.b.shape(p[0])) == 4]
    if not fits:
        return None
    parameters = fits[s.pick(fits)]
    return s.b.conv_with(x, parameters if s.number(0, 1) else parameters[:1], pad=s.b.size(parameters[0], 2) // 2)


def kept_conv(s: Sketch, x: str) -> str | None:
    """Conv whose parameters may be used again."""
    if s.rank(x) != 4:
        return None
    cin, cout, k = s.sizes(x)[0], s.number(1, 8), (1, 3)[s.number(0, 1)]
    parameters = [s.b.weight([cout, cin, k, k]), s.b.vector(cout)]
    s.parameters.append(parameters)
    return s.b.conv_with(x, parameters, pad=k // 2)


def tied_matmul(s: Sketch, x: str) -> str | None:
    """MatMul with a matrix, then with the same matrix the other way round, by Gemm or by a transposing node."""
    width = s.sizes(x)[-1]
    weight = s.b.weight([width, s.number(1, 6)], fan_in=width)
    code = s.b.relu(s.b.node("MatMul", [x, weight]))
    if s.rank(x) == 2 and s.number(0, 1):
        return s.b.node("Gemm", [code, weight], transB=1)
    return s.b.node("MatMul", [code, s.b.transpose(weight, 1, 0)])


def watched_weight(s: Sketch, x: str) -> str:
    """MatMul with a matrix whose sum or shape is used as well."""
    width = s.sizes(x)[-1]
    weight = s.b.weight([width, s.number(1, 6)], fan_in=width)
    y = s.b.node("MatMul", [x, weight])
    total = s.b.reduce_sum(weight, 0, keepdims=0) if s.number(0, 1) else s.b.mean(weight, 0, 1)
    return s.b.add(y, total)


def computed_weight(s: Sketch, x: str) -> str | None:
    """Conv with a kernel that another tensor makes."""
    if s.rank(x) != 4:
        return None
    cin, y = s.sizes(x)[0], s.tensors[s.pick(s.tensors)]
    flat = s.b.mean(s.b.flatten(y), 0, keepdims=0)
    size = s.b.size(flat, 0)
    if size % cin:
        return None
    return s.b.node("Conv", [x, s.b.sigmoid(s.b.node("Reshape", [flat, s.b.ints(size // cin, cin, 1, 1)]))])


def quantised(s: Sketch, x: str) -> str | None:
    """Conv or MatMul whose weight is 8-bit, with a scale in all or along an axis."""
    cin, cout = (s.sizes(x)[0], s.number(1, 6)) if s.rank(x) == 4 else (s.sizes(x)[-1], s.number(1, 6))
    form = [cout, cin, 1, 1] if s.rank(x) == 4 else [cin, cout]
    axis = s.number(-1, 1)
    extent = [] if axis < 0 else [form[axis]]
    values = s.b.const(s.b.rng.integers(-99, 99, form).astype(np.int8), "codes")
    scale = s.b.const(s.b.rng.uniform(0.005, 0.01, extent).astype(np.float32), "scale")
    zero = s.b.const(s.b.rng.integers(-5, 5, extent).astype(np.int8), "zero")
    weight = s.b.node("DequantizeLinear", [values, scale, zero], axis=max(axis, 0))
    return s.b.node("Conv" if s.rank(x) == 4 else "MatMul", [x, weight])


def shared_constant(s: Sketch, x: str) -> str | None:
    """Two operators with one vector, on this tensor and on another of the same width."""
    width = s.sizes(x)[-1]
    vector = s.b.vector(width)
    for y in reversed(s.tensors):
        if y != x and s.sizes(y)[-1] == width:
            s.tensors.append(s.b.add(y, vector))
            break
    return s.b.mul(x, vector)


def lookup(s: Sketch, x: str) -> str:
    """ArgMax over an axis, then rows of a table."""
    axis = s.axis(x)
    index = s.b.node("ArgMax", [x], axis=axis, keepdims=1 if s.rank(x) < 4 else 0)
    return s.b.node("Gather", [s.b.weight([max(s.sizes(x)), s.number(1, 5)], fan_in=2), index], axis=0)


def where(s: Sketch, x: str) -> str:
    """Where by a comparison with a constant or tensor."""
    y = s.like(x)[s.pick(s.like(x))]
    return s.b.node("Where", [s.b.node("Greater", [x, y if s.number(0, 1) else s.b.const(0.1)]), x, s.b.relu(y)])


def einsum(s: Sketch, x: str) -> str | None:
    """Einsum of a tensor of three axes with others and with constants."""
    if s.rank(x) != 3:
        return None
    y = s.like(x)[s.pick(s.like(x))]
    b, c = s.sizes(x)
    forms = (
        ("abc,cd->abd", [x, s.b.weight([c, 3])]), ("abc,bd->adc", [x, s.b.weight([b, 3])]),
        ("abc,bcd->abd", [x, s.b.weight([b, c, 3])]), ("abc,abd->acd", [x, y]),
        ("abc,abc,bc->ac", [x, y, s.b.weight([b, c])]), ("abc->acb", [x]), ("abc->ab", [x]),
        ("abc,cbd->adb", [x, s.b.weight([c, b, 2])]), ("abc,bde->abcde", [x, s.b.weight([b, 1, 2])]),
    )  # fmt: skip
    equation, operands = forms[s.pick(forms)]  # type: ignore[arg-type]
    return s.b.node("Einsum", operands, equation=equation)


def recurrent(s: Sketch, x: str) -> str | None:
    """LSTM over the first axis after the batch."""
    if s.rank(x) != 3:
        return None
    steps, width = s.sizes(x)
    weights = [s.b.weight([1, 8, width]), s.b.weight([1, 8, 2])]
    y = s.b.node("LSTM", [s.b.transpose(x, 1, 0, 2), *weights], hidden_size=2)
    return s.b.reshape(s.b.transpose(y, 2, 0, 1, 3), -1, steps, 2)


def heads(s: Sketch, x: str) -> str | None:
    """Attention with batch and heads in one axis, as older exporters write it."""
    if s.rank(x) != 3:
        return None
    tokens, width = s.sizes(x)
    parts = [s.b.matmul(x, 6) for _ in range(3)]
    split = [s.b.reshape(s.b.transpose(s.b.reshape(p, -1, tokens, 2, 3), 0, 2, 1, 3), -1, tokens, 3) for p in parts]
    seen = s.b.node("MatMul", [s.b.sigmoid(s.b.node("MatMul", [split[0], s.b.transpose(split[1], 0, 2, 1)])), split[2]])
    joined = s.b.transpose(s.b.reshape(seen, -1, 2, tokens, 3), 0, 2, 1, 3)
    return s.b.add(x, s.b.matmul(s.b.reshape(joined, -1, tokens, 6), width))


def concat_constant(s: Sketch, x: str) -> str | None:
    """Concat with a stored tensor, for a model that runs one sample."""
    if s.b.shape(x)[0] != 1:
        return None
    axis = s.axis(x)
    sizes = [1, *s.sizes(x)]
    sizes[axis] = s.number(1, 3)
    return s.b.concat(x, s.b.const(s.b.uniform(sizes, -1, 1)), axis=axis)


def several_axes(s: Sketch, x: str) -> str | None:
    """Reduce over two axes."""
    if s.rank(x) < 4:
        return None
    axes = sorted({s.axis(x), s.axis(x)})
    return s.b.reduce_sum(x, *axes, keepdims=0) if s.number(0, 1) else s.b.mean(x, *axes, keepdims=1)
