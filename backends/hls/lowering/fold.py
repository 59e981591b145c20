"""Fold scales and shifts into the weights before them, and types into the layers that have results of these types.

Drop layers that nobody reads.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from ..network import Activation, Addition, Affine, Convolution, Dense, Input, Layer, Multiplication, Network, Pooling

_CASTS = (Activation, Addition, Affine, Convolution, Dense, Input, Multiplication)


def fold(network: Network) -> Network:
    """Let each convolution, product or scale take up the scale and shift that alone reads it, and each layer its type.

    Weights that the model gives a type stay as they are.
    """
    uses = Counter(name for layer in network.layers for name in layer.inputs) + Counter(network.outputs)
    done: dict[str, Layer] = {}
    now: dict[str, str] = {}
    for layer in network.layers:
        inputs = tuple(now.get(name, name) for name in layer.inputs)
        if isinstance(layer, Affine) and uses[layer.inputs[0]] == 1:
            before = done[inputs[0]]
            if (taken := _taken(before, layer)) is not None:
                done[before.name] = taken
                now[layer.name] = before.name
                continue
        done[layer.name] = replace(layer, inputs=inputs)
    outputs = tuple(now.get(name, name) for name in network.outputs)
    return replace(network, layers=tuple(done.values()), outputs=outputs)


def drop_unread(network: Network) -> Network:
    """Drop the layers that no output depends on, which hls4ml cannot build; the input stays."""
    wanted = set(network.outputs)
    for layer in reversed(network.layers):
        if layer.name in wanted:
            wanted.update(layer.inputs)
    kept = tuple(layer for layer in network.layers if layer.name in wanted or not layer.inputs)
    return replace(network, layers=kept)


def _taken(before: Layer, by: Affine) -> Layer | None:
    """Return ``before`` with a scale, shift and type taken up; None where it cannot be."""
    if before.grid is not None:
        return None
    if by.grid is not None and np.all(by.scale == 1) and not np.any(by.shift):
        casts = isinstance(before, _CASTS) or (isinstance(before, Pooling) and before.kind == "average")
        return replace(before, grid=by.grid) if casts else None
    if not isinstance(before, Convolution | Dense | Affine) or getattr(before, "weight_grid", None) is not None:
        return None
    return replace(_scaled(before, by), grid=by.grid)


def _scaled(layer: Convolution | Dense | Affine, by: Affine) -> Layer:
    if isinstance(layer, Affine):
        return replace(layer, scale=layer.scale * by.scale, shift=layer.shift * by.scale + by.shift)
    bias = layer.bias * by.scale + by.shift
    if isinstance(layer, Dense):
        return replace(layer, weight=layer.weight * by.scale, bias=bias)
    scale = by.scale[:, None] if layer.depthwise else by.scale
    return replace(layer, kernel=layer.kernel * scale, bias=bias)
