"""Fold scales and shifts into the weights before them; drop layers that nobody reads."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ..network import Affine, Convolution, Dense, Layer, Network


def fold(network: Network) -> Network:
    """Let each convolution, product or scale take up the scale and shift that alone reads it."""
    uses = Counter(name for layer in network.layers for name in layer.inputs) + Counter(network.outputs)
    done: dict[str, Layer] = {}
    now: dict[str, str] = {}
    for layer in network.layers:
        inputs = tuple(now.get(name, name) for name in layer.inputs)
        if isinstance(layer, Affine) and uses[layer.inputs[0]] == 1:
            before = done[inputs[0]]
            if isinstance(before, Convolution | Dense | Affine):
                done[before.name] = _scaled(before, layer)
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


def _scaled(layer: Convolution | Dense | Affine, by: Affine) -> Layer:
    if isinstance(layer, Affine):
        return replace(layer, scale=layer.scale * by.scale, shift=layer.shift * by.scale + by.shift)
    bias = layer.bias * by.scale + by.shift
    if isinstance(layer, Dense):
        return replace(layer, weight=layer.weight * by.scale, bias=bias)
    scale = by.scale[:, None] if layer.depthwise else by.scale
    return replace(layer, kernel=layer.kernel * scale, bias=bias)
