"""A front end: ONNX files packed by gzip."""

import gzip
from pathlib import Path

import onnx

from optimise_onnx.frontends.given import Given


class Packed:
    """Reads ``model.onnx.gz``."""

    def reads(self, source: object) -> bool:
        """Whether the name says so."""
        return str(source).endswith(".onnx.gz")

    def load(self, source: object, given: Given) -> onnx.ModelProto:
        """Unpack and parse."""
        return onnx.load_model_from_string(gzip.decompress(Path(str(source)).read_bytes()))


PACKED = Packed()
