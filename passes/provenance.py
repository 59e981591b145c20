"""Which channels of the given model are left, noted at the nodes of a file: viewers show it, a later run reads it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ..ir.graph import Dim, Graph
from ..ir.shapes import symbolic
from .analysis.channels.origins import Origin, Origins

KEY = "optimise_onnx.kept"
_TEXT = re.compile(r"axis (?P<axis>\d+)(?: of shape (?P<form>[\dx]+))?: (?P<places>[\d,-]*) of (?P<whole>\d+)")


def annotate(graph: Graph, changes: Origins) -> None:
    """Note at every node which indices of its outputs are left, where any went, over what was noted before."""
    for node in graph.nodes:
        for place, tensor in enumerate(node.outputs):
            origin = changes.get(tensor.name)
            if origin is not None and origin.count < origin.whole:
                graph.metadata.setdefault(node.name, {})[_key(place)] = written(origin)


def noted(graph: Graph) -> dict[str, Origin | None]:
    """Read what :func:`annotate` has written into the file that a graph comes from, by tensor name.

    What does not fit the tensor is left aside: the file was edited since.
    """
    found: dict[str, Origin] = {}
    for node in graph.nodes:
        entries = graph.metadata.get(node.name, {})
        for place, tensor in enumerate(node.outputs):
            origin = read(entries.get(_key(place), ""))
            if origin is not None:
                found[tensor.name] = origin
    shapes = symbolic(graph) if found else {}
    return {name: origin for name, origin in found.items() if _fits(origin, shapes.get(name))}


def _fits(origin: Origin, shape: Sequence[Dim] | None) -> bool:
    """Whether a tensor has as many indices as were left of it, as far as its shape is known."""
    if shape is None:
        return True
    size = shape[origin.axis] if origin.axis < len(shape) else 0
    return not isinstance(size, int) or size == origin.count


def written(origin: Origin) -> str:
    """Write an origin in a few words: ``axis 1: 0-3,7 of 16``."""
    form = origin.places.shape
    blocks = "" if origin.places.size == origin.count else f" of shape {'x'.join(map(str, form))}"
    return f"axis {origin.axis}{blocks}: {_ranges(origin.places.ravel().tolist())} of {origin.whole}"


def read(text: str) -> Origin | None:
    """Read what :func:`written` writes; None for anything else. The rank is only known where blocks differ."""
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    places = [place for part in match["places"].split(",") if part for place in _run(part)]
    axis = int(match["axis"])
    form = tuple(map(int, match["form"].split("x"))) if match["form"] else (1,) * axis + (len(places),)
    if int(np.prod(form)) != len(places):
        return None
    return Origin(axis, np.array(places, np.int64).reshape(form), int(match["whole"]))


def _key(place: int) -> str:
    return KEY if place == 0 else f"{KEY}.{place}"


def _ranges(places: list[int]) -> str:
    runs: list[list[int]] = []
    for place in places:
        if runs and place == runs[-1][1] + 1:
            runs[-1][1] = place
        else:
            runs.append([place, place])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def _run(part: str) -> range:
    first, _, last = part.partition("-")
    return range(int(first), int(last or first) + 1)
