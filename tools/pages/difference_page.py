"""The page of two models side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import view
from .page import skylines, written

if TYPE_CHECKING:
    from ..differences import Differences


def difference_page(found: Differences) -> str:
    """Write what differs between two models as HTML."""
    return written(
        "difference.html",
        title=" and ".join(found.names),
        sentence=f"{found.changes.said.capitalize()}. {found.costs}.",
        skylines=skylines(found.layers),
        layers=view.layer_rows(found.layers),
        changes=view.change_rows(found.changes),
    )
