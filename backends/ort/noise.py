"""Random operators that draw the same numbers in every session, so that two models meet the same noise."""

from __future__ import annotations

import zlib

import onnx
import onnx.helper

from ...ir.attributes import RANDOM
from ...ir.protos import every_node

_SEEDS = 2**20


def seed(graph: onnx.GraphProto) -> None:
    """Give every random operator that has no seed one that its output's name decides, in subgraphs too."""
    for node in every_node(graph):
        if node.op_type in RANDOM and not any(attribute.name == "seed" for attribute in node.attribute):
            number = zlib.crc32(node.output[0].encode()) % _SEEDS
            node.attribute.append(onnx.helper.make_attribute("seed", float(number)))
