"""Linear maps along single axes: what the adjoint of indexing, padding, pooling by means and resizing comes down to."""

from collections.abc import Mapping, Sequence

import numpy as np

from ...graph import Array
from ...shapes import Shape
from ..sheet import Sheet


def back_along(sheet: Sheet, slope: str, shape: Shape, maps: Mapping[int, Array]) -> str:
    """Go back through maps along axes, ``maps[axis]`` (outputs, inputs) the matrix of one; ``shape`` of the slope."""
    rank = len(shape)
    for axis, matrix in maps.items():
        order = [place for place in range(rank) if place != axis] + [axis]
        last = order == list(range(rank))
        turned = slope if last else sheet.transpose(slope, order)
        product = sheet.add("MatMul", turned, sheet.constant(matrix))
        slope = product if last else sheet.transpose(product, np.argsort(order).tolist())
    return slope


def back_to(sheet: Sheet, slope: str, shape: Shape, axis: int, chosen: Sequence[int], size: int) -> str:
    """Go back through a choice of entries of one axis of ``size``: what was chosen twice adds up, the rest gets 0."""
    index = np.asarray(chosen, np.int64) % max(size, 1)
    if len(np.unique(index)) < len(index):
        return back_along(sheet, slope, shape, {axis: np.eye(size)[index]})
    places = np.full(size, len(index))
    places[index] = np.arange(len(index))
    if len(index) < size:
        slope = sheet.pad(slope, [0] * len(shape), [int(place == axis) for place in range(len(shape))])
    if np.array_equal(places, np.arange(size)):
        return slope
    return sheet.add("Gather", slope, sheet.ints(places), axis=axis)
