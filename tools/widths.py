"""The way back to PyTorch: a compressed model's widths and weights in the module that it came from."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from ..backends.ort import OrtRunner
from ..ir.errors import UsageError
from ..ir.feeds import batch_size, random_feeds
from ..ir.graph import Graph
from ..passes.provenance import noted
from .sizing import sized

_SAMPLES = 4


def to_torch(model: onnx.ModelProto, module: Any) -> Any:
    """Do what :meth:`.api.CompressResult.to_torch` does."""
    try:
        from ..backends.torch.narrow import narrowed
    except ImportError as error:
        raise UsageError("PyTorch is not installed", hint="pip install 'optimise-onnx[torch]'") from error
    runner = OrtRunner()
    graph = sized(Graph.of(model), runner)
    feeds = random_feeds(graph, np.random.default_rng(0), batch_size(graph, _SAMPLES))
    kept = {name: origin.places.ravel() for name, origin in noted(graph).items() if origin is not None}
    return narrowed(module, graph, kept, feeds, runner.session(graph).run(feeds))
