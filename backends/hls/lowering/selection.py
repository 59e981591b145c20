"""Bring a view of a layer into a layer of its own: by a convolution, or a product, of zeros and ones."""

from __future__ import annotations

from math import prod

import numpy as np

from ....ir.graph import Node
from ..network import Convolution, Dense, Floats, Layer, Shape
from .build import Build, Value, channels_first, refusal
from .views import Ints, View, find


def view(node: Node, places: Ints, layer: Layer) -> View:
    """Recognise ``places`` (C, H, W). Raises LoweringError when they are no view of a picture."""
    if len(layer.shape) == 1:
        hint = "keep to layers of vectors behind a flatten"
        raise refusal(node, f"its input is a picture made of the vector '{layer.name}'", hint)
    found = find(places, layer.shape)
    if found is None:
        why = f"its input is neither all of '{layer.name}' nor rows, columns and channels of it at regular steps"
        raise refusal(node, why, "keep reshapes and transposes of pixels out of the network")
    return found


def selected(build: Build, node: Node, layer: Layer, seen: View) -> Layer:
    """Return a layer (H', W', C') of what is seen; ``layer`` itself where that is all of it."""
    if seen.is_whole:
        return layer
    key = (layer.name, repr((seen.rows, seen.columns, seen.channels.tolist())).encode())
    if key not in build.made:
        build.made[key] = build.add(_selection(node, layer, seen))
    return build.made[key]


def _selection(node: Node, layer: Layer, seen: View) -> Convolution:
    height, above, top, bottom = seen.rows.window
    width, left_of, left, right = seen.columns.window
    chosen = np.ones((seen.depth, 1)) if seen.takes_all_channels else one_hot(seen.channels, seen.depth)
    kernel = np.zeros((height, width, *chosen.shape))
    kernel[above, left_of] = chosen
    count = len(seen.channels)
    return Convolution(
        f"{layer.name}_select",
        (layer.name,),
        (seen.rows.count, seen.columns.count, count),
        node.name,
        kernel,
        np.zeros(count),
        (seen.rows.step, seen.columns.step),
        (top, left, bottom, right),
        seen.takes_all_channels and seen.depth > 1,
    )


def one_hot(chosen: Ints, size: int) -> Floats:
    """Return (size, n): column i takes entry ``chosen[i]``, or none where that is -1."""
    return np.asarray(np.arange(size)[:, None] == chosen[None, :], np.float64)


def picture(build: Build, node: Node, value: Value) -> Layer:
    """Return a layer (H, W, C) with a value of (1, C, H, W) or (1, C, W). Raises LoweringError for any other."""
    places = as_image(node, value.places)
    return selected(build, node, value.layer, view(node, places, value.layer))


def as_image(node: Node, places: Ints) -> Ints:
    """Return places (1, C, H, W) or (1, C, W) as (C, H, W). Raises LoweringError for other ranks."""
    found = image_of(places, last=False)
    if found is None:
        raise refusal(node, f"it works on a tensor of shape {places.shape}", "use pictures or rows of one sample")
    return found


def whole(build: Build, node: Node, value: Value) -> Value:
    """Return a value whose layer holds its elements and no others. Raises LoweringError when none can be made."""
    if value.is_whole:
        return value
    if len(value.layer.shape) == 1 or value.places.ndim < 3:
        return _vector(build, node, value)
    for last in (False, True):
        places = image_of(value.places, last)
        if places is not None and (seen := find(places, value.layer.shape)):
            layer = selected(build, node, value.layer, seen)
            return Value(layer, image_places(layer, value.places.shape, last))
    raise refusal(node, f"its input takes irregular places of '{value.layer.name}'", "select channels only")


def image_of(places: Ints, last: bool) -> Ints | None:
    """Return the places of a picture as (C, H, W), its channels taken to be the last axis or the first."""
    if places.ndim not in (3, 4) or len(places) != 1:
        return None
    inner: Ints = np.moveaxis(places[0], -1, 0) if last else places[0]
    return inner if inner.ndim == 3 else inner[:, None, :]


def image_places(layer: Layer, shape: Shape, last: bool) -> Ints:
    """Return the places of a layer (H, W, C) in a tensor of ``shape``, its channels last or first."""
    places = channels_first(layer.shape)
    return np.asarray(np.moveaxis(places, 1, -1) if last else places).reshape(shape)


def _vector(build: Build, node: Node, value: Value) -> Value:
    """Choose entries by a product with zeros and ones."""
    source, size = build.flat(value.layer), prod(value.layer.shape)
    weight = one_hot(value.places.ravel(), size)
    count = value.places.size
    name = f"{source.name}_select"
    layer = build.add(Dense(name, (source.name,), (count,), node.name, weight, np.zeros(count)))
    return Value(layer, np.arange(count).reshape(value.places.shape))
