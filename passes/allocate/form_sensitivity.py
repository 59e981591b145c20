"""What other forms of layers do to the outputs: measured for a few forms of each layer, and told for all from there."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...ir.graph import Array, Graph
from ..analysis.layers.forms import Form, FormMenu, fitted, regularised
from ..analysis.layers.linear import Linear, stored_weight
from ..analysis.layers.writing import stored_bias, write_bias, write_weight
from ..analysis.statistics.input_moments import InputMoments
from ..analysis.statistics.judge import Judge, judge
from ..base import Context
from .problem import Problem

_SHARES = (0.35, 0.65)
_MIDDLE = (0.5,)  # where several families are measured
_SMALLEST = 1e-12


@dataclass(frozen=True)
class Sensitivity:
    """One layer's ``divergences`` (P,) of the outputs at relative ``errors`` (P,) of its own, ascending."""

    errors: Array
    divergences: Array

    def beside(self, error: float, divergence: float) -> "Sensitivity":
        """Return it with one more measurement."""
        place = int(np.searchsorted(self.errors, error))
        return Sensitivity(np.insert(self.errors, place, error), np.insert(self.divergences, place, divergence))

    def near(self, error: float, factor: float) -> bool:
        """Say whether an error was measured that differs by less than a factor."""
        known, asked = np.maximum(self.errors, _SMALLEST), max(error, _SMALLEST)
        return bool((np.abs(np.log(known / asked)) < np.log(factor)).any())

    def of(self, errors: Array) -> Array:
        """Return about what any errors do: the ratio is interpolated in the logarithm and constant beyond.

        Where nothing was measured, for no form saves anything, errors stay as they are.
        """
        if not self.errors.size:
            return np.asarray(errors)
        known = np.maximum(self.errors, _SMALLEST)
        ratio = np.log(np.maximum(self.divergences, _SMALLEST) / known)
        asked = np.maximum(errors, _SMALLEST)
        found: Array = asked * np.exp(np.interp(np.log(asked), np.log(known), ratio))
        return found


class Substitutes:
    """The layers that fitted forms stand for, in place of the layers; every form is fitted once.

    Shapes and operators stay as they are. ``moments`` of what layers read, by node name.
    """

    def __init__(self, moments: Mapping[str, InputMoments]) -> None:
        self._moments = moments
        self._found: dict[tuple[str, Form], tuple[Array, Array]] = {}

    def write(self, graph: Graph, layer: Linear, form: Form) -> None:
        """Give a layer of a copy of the original graph the weight and bias of its form."""
        node = graph.node(layer.node)
        stored = stored_weight(graph, node, layer)
        key = layer.node, form
        if key not in self._found:
            self._found[key] = self._fitted(layer.matrix(stored), layer.node, form)
        matrix, shift = self._found[key]
        write_weight(graph, node, layer, layer.weight(matrix, stored))
        write_bias(graph, node, layer, stored_bias(graph, node, layer) + shift)

    def _fitted(self, weight: Array, name: str, form: Form) -> tuple[Array, Array]:
        known = self._moments[name]
        found, shift = fitted(form, weight, regularised(known.cov, known.ridge), known.mean)
        return found.matrix.astype(np.float32), shift


def harm_of(forms: Iterable[tuple[Linear, Form]], graph: Graph, substitutes: Substitutes, judge: Judge) -> float:
    """Measure what forms of layers, all of them at once, do to the outputs of the original ``graph``."""
    copy = graph.copy()
    for layer, form in forms:
        substitutes.write(copy, layer, form)
    return judge.of(copy)


def sensitivities(task: Problem, context: Context, samples: int) -> list[dict[str, Sensitivity]]:
    """Measure every layer by the families that it is offered, or read it from the cache.

    Families have their own: an error of one kind does not do what an equal error of another kind does.
    """
    meter, moments = task.meter, context.moments(context.view(task.graph), task.ranking.rows)
    parts = [(offer.layer, part.families[0].name, part) for offer in task.offers for part in offer.apart()]
    menus = [part.menu(meter, part.errors) for _, _, part in parts]
    shares = _SHARES if len({name for _, name, _ in parts}) == 1 else _MIDDLE

    def probed() -> dict[str, Array]:
        chosen, substitutes = judge(task.graph, context.judging(samples), context.runner), Substitutes(moments)
        found = {}
        for number, ((layer, _, _), menu) in enumerate(zip(parts, menus, strict=True)):
            context.progress("trying forms", number / len(menus))
            for place in _places(menu, shares):
                harm = harm_of([(layer, menu.forms[place])], task.graph, substitutes, chosen)
                found[f"{number}_{place}"] = np.array(harm)
        return found

    depends = [samples, list(moments.key), shares, [[menu.shares, menu.errors] for menu in menus]]
    depends.append([[form.text for form in menu.forms] for menu in menus])
    code = [form for menu in menus for form in menu.forms]
    arrays = context.remember("forms", task.graph, depends, probed, code)
    found: dict[str, dict[str, Sensitivity]] = {}
    for number, ((layer, name, _), menu) in enumerate(zip(parts, menus, strict=True)):
        places = _places(menu, shares)
        divergences = np.array([float(arrays[f"{number}_{place}"]) for place in places])
        found.setdefault(layer.node, {})[name] = Sensitivity(menu.errors[places], divergences)
    return [found[offer.layer.node] for offer in task.offers]


def _places(menu: FormMenu, shares: Sequence[float]) -> list[int]:
    """Return the places of the menu to measure, the dearest form first: by ascending error; none where it is empty."""
    if not menu.forms:
        return []
    return sorted({int(np.abs(menu.shares[:-1] - share).argmin()) for share in shares}, reverse=True)
