"""Models as protobuf writes them, with their large weights apart: neither read into messages nor copied for a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import onnx

from .handles import Array

GRAPH, INITIALIZER, NAME, RAW = 7, 5, 8, 9  # fields of a model, of its graph, and two of a tensor
_OUTSIDE = (13, 14)  # fields of a tensor whose values lie in another file
_FIXED = {1: 8, 5: 4}  # bytes of the wire types that have no length
_VARINT, _DELIMITED = 0, 2
_LONGEST = 10  # bytes of a number

Chunk = bytes | memoryview


class Field(NamedTuple):
    """One field of a message: its number, and where the field, and its content, lie in the bytes."""

    number: int
    begin: int
    content: int
    end: int


class Apart(NamedTuple):
    """A model without the values of its large weights, and by name where these lie in its bytes: from, to."""

    model: onnx.ModelProto
    places: dict[str, tuple[int, int]]


def apart(data: Array, least: int) -> Apart | None:
    """Parse a model but for raw values of initializers of more than ``least`` bytes, which are not touched.

    ``data`` (bytes,) uint8. None for what is written in another way than by the usual libraries, or is no model.
    """
    view, places = data.data, dict[str, tuple[int, int]]()
    try:
        model = b"".join(_model(view, least, places))
        return Apart(onnx.load_model_from_string(model), places)
    except (ValueError, IndexError):
        return None


def _model(view: memoryview, least: int, places: dict[str, tuple[int, int]]) -> Iterator[Chunk]:
    fields = list(_fields(view, 0, len(view)))
    if sum(field.number == GRAPH for field in fields) != 1:
        raise ValueError("no graph, or one in parts")
    for field in fields:
        if field.number != GRAPH:
            yield view[field.begin : field.end]
            continue
        graph = b"".join(_graph(view, field, least, places))
        yield _key(GRAPH) + _number(len(graph)) + graph


def _graph(view: memoryview, graph: Field, least: int, places: dict[str, tuple[int, int]]) -> Iterator[Chunk]:
    for field in _fields(view, graph.content, graph.end):
        inner = list(_fields(view, field.content, field.end)) if field.number == INITIALIZER else []
        raw = [each for each in inner if each.number == RAW]
        names = [str(view[each.content : each.end], "utf-8") for each in inner if each.number == NAME]
        outside = any(each.number in _OUTSIDE for each in inner)
        if len(raw) != 1 or len(names) != 1 or outside or raw[0].end - raw[0].content <= least or names[0] in places:
            yield view[field.begin : field.end]
            continue
        places[names[0]] = raw[0].content, raw[0].end
        rest = b"".join(view[each.begin : each.end] for each in inner if each.number != RAW)
        yield _key(INITIALIZER) + _number(len(rest)) + rest


def written(model: onnx.ModelProto, values: Mapping[str, Array]) -> Iterator[Chunk]:
    """Yield the bytes of a model piece by piece, with ``values`` as raw data of the initializers of these names.

    They are what ``SerializeToString(deterministic=True)`` would give of the model with them.
    """
    shell = onnx.ModelProto()
    shell.CopyFrom(model)
    shell.ClearField("graph")
    graph = list(_with_values(model.graph, values))
    chunks = [_key(GRAPH), _number(sum(map(length, graph))), *graph]
    outer = memoryview(shell.SerializeToString(deterministic=True))
    place = next((f.begin for f in _fields(outer, 0, len(outer)) if f.number > GRAPH), len(outer))
    yield outer[:place]
    yield from chunks
    yield outer[place:]


def _with_values(graph: onnx.GraphProto, values: Mapping[str, Array]) -> Iterator[Chunk]:
    view = memoryview(graph.SerializeToString(deterministic=True))
    for field in _fields(view, 0, len(view)):
        inner = list(_fields(view, field.content, field.end)) if field.number == INITIALIZER else []
        name = next((str(view[each.content : each.end], "utf-8") for each in inner if each.number == NAME), None)
        if name is None or name not in values:
            yield view[field.begin : field.end]
            continue
        raw = as_bytes(values[name])
        place = next((each.begin for each in inner if each.number >= RAW), field.end)
        rest = next((each.end for each in inner if each.number == RAW), place)
        head = _key(RAW) + _number(len(raw))
        whole = place - field.content + len(head) + len(raw) + field.end - rest
        yield _key(INITIALIZER) + _number(whole) + view[field.content : place] + head
        yield raw
        yield view[rest : field.end]


def as_bytes(array: Array) -> memoryview:
    """Return the bytes of an array as they lie in memory, uncopied."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def length(chunk: Chunk) -> int:
    """Return the bytes of a chunk."""
    return chunk.nbytes if isinstance(chunk, memoryview) else len(chunk)


def _fields(view: memoryview, begin: int, end: int) -> Iterator[Field]:
    """Walk the fields of a message. Raises ValueError, IndexError where it is broken."""
    while begin < end:
        key, content = _read(view, begin)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            stop = _read(view, content)[1]
        elif kind == _DELIMITED:
            size, content = _read(view, content)
            stop = content + size
        else:
            stop = content + _FIXED.get(kind, end)
        if stop > end or not number:
            raise ValueError("cut short")
        yield Field(number, begin, content, stop)
        begin = stop


def _read(view: memoryview, place: int) -> tuple[int, int]:
    """Return the number that begins at a place, and where it ends."""
    value = 0
    for step in range(_LONGEST):
        byte = view[place + step]
        value |= (byte & 127) << (7 * step)
        if byte < 128:
            return value, place + step + 1
    raise ValueError("a number is too long")


def _number(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes((*found, value))


def _key(number: int) -> bytes:
    return _number(number << 3 | _DELIMITED)
