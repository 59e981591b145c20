"""What a compression returns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import onnx

from ..ir.errors import TargetNotMetError
from ..ir.graph import Graph
from ..passes.observers import Record
from .report import Report


@dataclass(frozen=True)
class CompressResult:
    """The smaller ``model``, the figures before and after, and what each pass did.

    ``missed`` says how the target was not met, where less than that was allowed.
    """

    graph: Graph
    report: Report
    records: tuple[Record, ...]
    missed: TargetNotMetError | None = None

    @cached_property
    def model(self) -> onnx.ModelProto:
        """The smaller model, with all its weights in memory."""
        return self.graph.to_model()

    def to_torch(self, module: Any) -> Any:
        """Return a copy of the ``torch.nn.Module`` that the model was exported from, with the new widths and weights.

        It computes what the compressed model does, which is checked on random inputs, and can be trained on. Raises
        LoweringError, with a list of the layers that do not map, where it cannot.
        """
        from .widths import to_torch

        return to_torch(self.model, module)
