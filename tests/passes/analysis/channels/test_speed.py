"""The channel analysis of ImageNet networks takes well under a second; the limits leave room for a busy machine."""

import time
from pathlib import Path

import onnx
import pytest

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.frontends.load import load
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.cleanup.constants import FoldConstants

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


@pytest.mark.parametrize(("name", "limit", "groups"), [("resnet50", 2.0, 37), ("densenet121", 5.0, 120)])
def test_the_analysis_is_fast(name: str, limit: float, groups: int) -> None:
    graph, _ = load(FOLDER / f"light_{name}.onnx")
    FoldConstants().run(graph, Context(OrtRunner(), graph))
    start = time.perf_counter()
    channels = analyse(graph)
    assert time.perf_counter() - start < limit
    assert len(channels.groups) == groups
