"""What a compression returns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import onnx

from ..ir.errors import TargetNotMetError
from ..ir.graph import Graph
from ..passes.observers import Record
from .made import Made
from .report import Report


@dataclass(frozen=True)
class CompressResult:
    """The smaller ``model``, the figures before and after, and what each pass did.

    ``missed`` says how the target was not met, where less than that was allowed. ``original`` is the model before, with
    its constants folded, which costs before count from.
    """

    graph: Graph
    report: Report
    records: tuple[Record, ...]
    missed: TargetNotMetError | None = None
    original: Graph | None = None

    @cached_property
    def model(self) -> onnx.ModelProto:
        """The smaller model, with all its weights in memory."""
        return self.graph.to_model()

    def noted(self, made: Made) -> CompressResult:
        """Say how it was made."""
        return replace(self, report=replace(self.report, made=made))

    def page(self, name: str = "", replay: str = "") -> str:
        """Return the report as one HTML file that loads nothing; ``name`` is the model's, ``replay`` the command that
        makes it again. It times both models layer by layer, for about a second.
        """
        from .pages.page import report_page

        return report_page(self.report, self.original or self.graph, self.graph, name, replay)

    def save(self, path: str | Path, report: str | Path | None = None) -> None:
        """Write the model, and its report: ``.html`` is a page, with ``.json`` beside it. Both are written, or neither.

        Raises UsageError where a file cannot be written.
        """
        from .external import model_files
        from .files import check_output, write
        from .report_files import places, report_files

        output, asked = Path(path), None if report is None else Path(report)
        for place in (output, *places(asked)):
            check_output(place)
        write(model_files(self.graph, output) | ({} if asked is None else report_files(self, asked, output)))

    def __str__(self) -> str:
        from .table import as_text, before_after

        return as_text(before_after(self.report))

    def _repr_html_(self) -> str:
        """Return what notebooks show: the table of before and after."""
        from .pages.page import card_list

        return card_list(self.report)

    def to_torch(self, module: Any) -> Any:
        """Return a copy of the ``torch.nn.Module`` that the model was exported from, with the new widths and weights.

        It computes what the compressed model does, which is checked on random inputs, and can be trained on. Raises
        LoweringError, with a list of the layers that do not map, where it cannot.
        """
        from .widths import to_torch

        return to_torch(self.model, module)
