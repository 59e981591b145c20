"""A graph as it is now, and what is computed from it: each analysis once, until the graph changes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from ...ir.cost import Cost, cost
from ...ir.graph import Graph
from .channels.groups import Channels, analyse
from .layers.linear import Linear, linear_layers

T = TypeVar("T")

STANDS_ON: Mapping[str, frozenset[str]] = {
    "channels": frozenset(),
    "costs": frozenset(),
    "layers": frozenset({"channels"}),
}
"""The analyses that a pass may say it preserves, and those each is computed from."""


class View:
    """One version of a graph. The graph must not change while a view of it is in use; make another one then."""

    def __init__(self, graph: Graph, known: Mapping[Hashable, Any] | None = None) -> None:
        self.graph = graph
        self._known: dict[Hashable, Any] = dict(known or {})

    @property
    def channels(self) -> Channels:
        """Groups of coupled channels, pins, and the labels that removal works from."""
        return self.once("channels", lambda: analyse(self.graph))

    @property
    def layers(self) -> Mapping[str, Linear]:
        """The linear layers by node name."""
        return self.once("layers", lambda: linear_layers(self.graph, self.channels.context.shapes))

    @property
    def costs(self) -> Mapping[str, Cost]:
        """Each node's cost for one sample, by node name."""
        return self.once("costs", lambda: cost(self.graph))

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what was made under ``key`` of this version, making it when it is first asked for."""
        if key not in self._known:
            self._known[key] = make()
        found: T = self._known[key]
        return found

    def frozen(self) -> View:
        """Return a view of a copy, with all that is known: the graph may then change without it."""
        copy = self.graph.copy()
        channels = self.channels
        kept = replace(channels, context=replace(channels.context, graph=copy))
        return View(copy, self._known | {"channels": kept})

    def after(self, preserved: Collection[str]) -> View:
        """Return a view of the graph as a pass has left it: what it has preserved stays, if all that it stands on does.

        Raises ValueError for what is no analysis.
        """
        if unknown := set(preserved) - STANDS_ON.keys():
            raise ValueError(f"{', '.join(sorted(unknown))} is no analysis: one of {', '.join(STANDS_ON)}")
        stays = {name for name in preserved if STANDS_ON[name] <= set(preserved)}
        return View(self.graph, {name: made for name, made in self._known.items() if name in stays})
