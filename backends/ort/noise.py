"""Random operators that draw the same numbers in every session, so that two models meet the same noise."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

import onnx
import onnx.helper

from ...ir.attributes import RANDOM

_SEEDS = 2**20


def seed(nodes: Iterable[onnx.NodeProto]) -> None:
    """Give every random operator that has no seed one that its output's name decides, in subgraphs too."""
    for node in nodes:
        if node.op_type in RANDOM and not any(attribute.name == "seed" for attribute in node.attribute):
            number = zlib.crc32(node.output[0].encode()) % _SEEDS
            node.attribute.append(onnx.helper.make_attribute("seed", float(number)))
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                seed(attribute.g.node)
