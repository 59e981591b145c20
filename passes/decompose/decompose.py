"""``decompose``: write into the graph the forms that ``allocate`` chose, or one form for every layer chosen here."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from ...ir.errors import UsageError
from ...ir.graph import Graph
from ..analysis.layers.forms import Form, Written, fitted
from ..analysis.layers.linear import stored_weight
from ..analysis.layers.writing import stored_bias, write_bias
from ..base import Context, Outcome
from .cheapest import cheapest
from .families import ALL, chosen
from .inputs import Inputs
from .timing import Stopwatch


@dataclass(frozen=True)
class Decompose:
    """Write forms: those that ``allocate`` decided, unless ``share`` or ``energy`` says to decide here. Then every
    layer takes of all families in ``forms`` the one that loses least with at most ``share`` of the layer's MACs, or the
    cheapest that keeps ``energy`` of the variance of its output. ``only_faster``: where a form is slower than the
    layer in the runner, the layer stays as it is.
    """

    forms: tuple[str, ...] = (ALL,)
    share: float = 0.0
    energy: float = 0.0
    only_faster: bool = False
    name: ClassVar[str] = "decompose"
    provides: ClassVar[frozenset[str]] = frozenset({"reference"})
    preserves: ClassVar[frozenset[str]] = frozenset({"reference"})
    carries_out: ClassVar[frozenset[str]] = frozenset({"forms"})

    @property
    def needs(self) -> frozenset[str]:
        """Forms that are decided, unless they are here."""
        return frozenset() if self.share or self.energy else frozenset({"forms"})

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Rewrite layers and leave what was written in the plan. Raises UsageError."""
        if not (0 <= self.share < 1 and 0 <= self.energy < 1 and (not self.share or not self.energy)):
            hint = "give share=0.5 for half of each layer's MACs, or energy=0.95"
            raise UsageError("share and energy are shares below 1, and only one of them is given", hint=hint)
        chosen(self.forms)
        decided, here = context.plan.decision.forms, bool(self.share or self.energy)
        inputs = Inputs.of(graph, context) if here or decided else None
        if inputs is not None and here:
            decided = cheapest(graph, inputs, self.forms, share=self.share, energy=self.energy)
        plan = context.plan.referred(context.view(graph))
        plan = replace(plan, decision=replace(plan.decision, forms=None), alternatives=())
        if inputs is None or not decided:
            return Outcome(False, ("every layer keeps its form",), plan=plan)
        written, outcome = self._write(graph, context, inputs, decided)
        plan = replace(plan, formed=plan.formed | written.keys(), written={**plan.written, **written})
        return replace(outcome, plan=replace(plan, ranking=None, offers=None))

    def _write(
        self, graph: Graph, context: Context, inputs: Inputs, forms: Mapping[str, Form]
    ) -> tuple[dict[str, Written], Outcome]:
        watch = Stopwatch(context.runner, inputs.shapes, context.rng())
        written, kinds, slower = dict[str, Written](), Counter[str](), list[str]()
        for place, (name, form) in enumerate(forms.items()):
            context.progress("rewriting layers", place / len(forms))
            tried = graph.copy()
            entry = _written(tried, inputs, name, form)
            if watch.ratio(graph, tried, entry.layer) > 1:
                slower.append(name)
                if self.only_faster:
                    continue
            graph.become(tried)
            written[name] = entry
            kinds[form.kind] += 1
        listed = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        notes = [f"{kinds.total()} layers rewritten: {listed}"] if kinds else ["no layer rewritten"]
        if slower:
            fate = "stay as they are" if self.only_faster else "are rewritten for another backend"
            notes.append(f"{len(slower)} layers whose form is slower here {fate}")
        figures = {"layers_rewritten": kinds.total(), "layers_slower": slower}
        return written, Outcome(bool(kinds), tuple(notes), figures)


def _written(graph: Graph, inputs: Inputs, name: str, form: Form) -> Written:
    """Write one form, with the bias that goes with it."""
    node, layer = graph.node(name), inputs.layers[name]
    weight = layer.matrix(stored_weight(graph, node, layer))
    found, shift = fitted(form, weight, *inputs.moments(layer))
    write_bias(graph, node, layer, stored_bias(graph, node, layer) + shift)
    return Written(layer, found, found.write(graph, graph.node(name), layer))
