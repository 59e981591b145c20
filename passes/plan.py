"""The plan: what passes have decided and done, as one value that each hands on to the next.

It says which channels of a *reference*, the graph before the first lossy change, each remaining channel is; so
removals, forms and repairs compose, in any number and order. It belongs to one version of the graph: what a pass does
not say that it preserves is gone after the graph has changed, and a pipeline that would need it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..ir.graph import Array, Graph
from .analysis.channels.origins import Origins, class_mask, composed, expresses
from .analysis.channels.ranking import Ranking
from .analysis.layers.forms import Form, Offer, Written
from .analysis.view import View


@dataclass(frozen=True)
class Decision:
    """What is still to be carried out: ``widths``, the rounds that each group loses, and ``forms``, by node name.

    None where nothing of the kind was decided. ``figures`` are for the report.
    """

    widths: Mapping[str, int] | None = None
    forms: Mapping[str, Form] | None = None
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """``version`` of the graph that it describes; ``ranking``, ``offers`` and decisions are about that graph.

    ``reference``: the graph before any lossy change, with its analyses; ``kept``: what is left of its tensors;
    ``changes``: what is left of the tensors of the model as it was given, whichever passes have shortened them;
    ``formed``: the nodes whose layers have taken another form since; ``written``: those forms, by node name, as long as
    they stand as they were written. ``rows``: how many positions statistics of the reference are taken from.
    ``curves``: the error of every ranked group after 0, 1, … rounds, (rounds + 1,), that a decision came from.
    ``alternatives``: other decisions, the first one among them, of which one is to be carried out.
    """

    version: int = 0
    reference: View | None = None
    kept: Origins = field(default_factory=dict)
    changes: Origins = field(default_factory=dict)
    rows: int = 0
    formed: frozenset[str] = frozenset()
    written: Mapping[str, Written] = field(default_factory=dict)
    ranking: Ranking | None = None
    offers: tuple[Offer, ...] | None = None
    curves: Mapping[str, Array] = field(default_factory=dict)
    decision: Decision = Decision()
    alternatives: tuple[Decision, ...] = ()

    @property
    def facts(self) -> frozenset[str]:
        """Name what is in it, in the words of :mod:`.order`."""
        holds = {
            "reference": self.reference is not None,
            "ranking": self.ranking is not None,
            "offers": self.offers is not None,
            "widths": self.decision.widths is not None,
            "forms": self.decision.forms is not None,
        }
        return frozenset(name for name, held in holds.items() if held)

    def carried(self, version: int, preserved: frozenset[str]) -> Plan:
        """Return what is left of it for the next version of the graph, after a pass that preserves these facts."""
        return Plan(
            version=version,
            reference=self.reference if "reference" in preserved else None,
            kept=self.kept if "reference" in preserved else {},
            changes=self.changes,
            rows=self.rows,
            formed=self.formed if "reference" in preserved else frozenset(),
            written=self.written if "written" in preserved else {},
            ranking=self.ranking if "ranking" in preserved else None,
            offers=self.offers if "offers" in preserved else None,
            curves=self.curves if "ranking" in preserved else {},
            decision=Decision(
                self.decision.widths if "widths" in preserved else None,
                self.decision.forms if "forms" in preserved else None,
                self.decision.figures,
            ),
        )

    def shortened(self, left: Origins) -> Plan:
        """Note what a removal has left of the tensors of the graph that the plan describes."""
        changes = composed(self.changes, left)
        if self.reference is None:
            return replace(self, changes=changes)
        return replace(self, changes=changes, kept=composed(self.kept, left, self.reference.channels.context.shapes))

    def referred(self, view: View) -> Plan:
        """Take the graph as it is for the reference, unless there is one."""
        if self.reference is not None:
            return self
        rows = self.ranking.rows if self.ranking else 0
        return replace(self, reference=view.frozen(), kept={}, formed=frozenset(), rows=rows)

    def class_mask(self, graph: Graph) -> Array | None:
        """Return one bool a class id of the reference: whether it is left in ``graph``, which the plan describes; None
        where no such choice says that.
        """
        assert self.reference is not None
        channels = self.reference.channels
        keep = class_mask(channels, self.kept)
        return keep if expresses(channels, keep, self.kept, graph.tensors()) else None
