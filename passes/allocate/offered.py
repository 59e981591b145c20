"""What other forms of layers do to the outputs: measured for a few forms of each layer, and told for all from there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...ir.graph import Array, Graph
from ..analysis.forms import Form, FormMenu, regularised
from ..analysis.linear import Linear, stored_weight
from ..analysis.outputs import judge
from ..analysis.statistics import InputMoments
from ..analysis.writing import stored_bias, write_bias, write_weight
from ..base import Context
from .task import Task

_SHARES = (0.35, 0.65)
_SMALLEST = 1e-12


@dataclass(frozen=True)
class Sensitivity:
    """One layer's ``divergences`` (P,) of the outputs at relative ``errors`` (P,) of its own, ascending."""

    errors: Array
    divergences: Array

    def of(self, errors: Array) -> Array:
        """Return about what any errors do: the ratio is interpolated in the logarithm and constant beyond."""
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
        cov = regularised(known.cov, known.ridge)
        matrix = form.fit(cov, cov @ weight).matrix
        return matrix.astype(np.float32), np.einsum("gdm,gd->gm", weight - matrix, known.mean).ravel()


def sensitivities(task: Task, context: Context, samples: int) -> list[Sensitivity]:
    """Measure every layer that is offered other forms, or read it from the cache."""
    menus = [offer.menu(task.target.kind, offer.errors) for offer in task.offers]
    moments = context.decisions["moments"]

    def probed() -> dict[str, Array]:
        chosen, substitutes = judge(task.graph, context.judging(samples), context.runner), Substitutes(moments)
        found = {}
        for number, (offer, menu) in enumerate(zip(task.offers, menus, strict=True)):
            context.progress("trying forms", number / len(menus))
            for place in _places(menu):
                copy = task.graph.copy()
                substitutes.write(copy, offer.layer, menu.forms[place])
                found[f"{number}_{place}"] = np.array(chosen.of(copy))
        return found

    depends = [samples, list(moments.key), [[menu.shares, menu.errors] for menu in menus]]
    depends.append([[form.text for form in menu.forms] for menu in menus])
    return _read(menus, context.remember("forms", task.graph, depends, probed))


def _places(menu: FormMenu) -> list[int]:
    """Return the places of the menu to measure, the dearest form first: by ascending error."""
    return sorted({int(np.abs(menu.shares[:-1] - share).argmin()) for share in _SHARES}, reverse=True)


def _read(menus: Sequence[FormMenu], arrays: Mapping[str, Array]) -> list[Sensitivity]:
    found = []
    for number, menu in enumerate(menus):
        places = _places(menu)
        divergences = np.array([float(arrays[f"{number}_{place}"]) for place in places])
        found.append(Sensitivity(menu.errors[places], divergences))
    return found
