"""``check_criterion``: ours pass it, and each planted mistake is found."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from optimise_onnx.passes.select.additive import rounds_by_cost
from optimise_onnx.passes.select.criteria import CRITERIA
from optimise_onnx.passes.select.criterion import FROM_MOMENTS, ByReaders, Ranks
from optimise_onnx.testing import check_criterion

MAGNITUDE, RANDOM = CRITERIA["magnitude"], CRITERIA["random"]
assert isinstance(MAGNITUDE, ByReaders) and isinstance(RANDOM, ByReaders)
STRAY = np.random.default_rng(0)


def changed(score: Any, needs: frozenset[str] = FROM_MOMENTS) -> ByReaders:
    """A criterion with a function of its own."""
    return ByReaders("mine", "nobody, 2026", needs, score)


def magnitude(readers: Any, form: tuple[int, int], rng: Any) -> Ranks:
    return MAGNITUDE.score(readers, form, rng)


def worst_first(readers: Any, form: tuple[int, int], rng: Any) -> Ranks:
    order, curve = magnitude(readers, form, rng)
    return order[::-1], curve


def twice(readers: Any, form: tuple[int, int], rng: Any) -> Ranks:
    order, curve = magnitude(readers, form, rng)
    return np.vstack([order[:1], order[:-1]]), curve


def one_cell_after_the_other(readers: Any, form: tuple[int, int], rng: Any) -> Ranks:
    order, curve = magnitude(readers, form, rng)
    return np.sort(order.ravel()).reshape(order.shape), curve


def falling(readers: Any, form: tuple[int, int], rng: Any) -> Ranks:
    order, curve = magnitude(readers, form, rng)
    return order, np.r_[0, curve[:0:-1]]


def unknown_loss(readers: Any, form: tuple[int, int], rng: Any) -> Ranks:
    order, curve = magnitude(readers, form, rng)
    return order, np.r_[curve[:-1], np.nan]


def own_chance(readers: Any, form: tuple[int, int], _rng: Any) -> Ranks:
    return RANDOM.score(readers, form, STRAY)


def writes(readers: Any, form: tuple[int, int], rng: Any) -> Ranks:
    for reader in readers:
        reader.weight[:] *= 2
    return magnitude(readers, form, rng)


@dataclass(frozen=True)
class Measured:
    """Reads activations, and asks the whole network."""

    name: str = "measured"
    paper: str = "nobody, 2026"
    needs: frozenset[str] = frozenset({"samples"})

    def rank(self, evidence: Any) -> Ranks:
        units = evidence.form[0] * evidence.form[1]
        power = np.zeros(units)
        for batch in evidence.activations():
            for name, values in batch.items():
                unit = np.broadcast_to(evidence.units(name), values.shape)
                power += np.bincount(unit[unit >= 0], values[unit >= 0].astype(float) ** 2, units)
        alone = [evidence.divergence(np.arange(units) != unit) for unit in range(2)]
        assert min(alone) >= 0 and evidence.divergence(np.ones(units, bool)) == 0
        return rounds_by_cost(power, evidence.form[0])


@dataclass(frozen=True)
class Asks:
    """Asks for what it needs."""

    needs: frozenset[str]
    what: str
    name: str = "asks"
    paper: str = "nobody, 2026"

    def rank(self, evidence: Any) -> Ranks:
        found = getattr(evidence, self.what)
        return rounds_by_cost(np.asarray(found() if callable(found) else found), evidence.form[0])


@pytest.mark.parametrize("criterion", [*(CRITERIA[name] for name in ("activation", "magnitude", "obs")), Measured()])
def test_good_ones(criterion: Any) -> None:
    check_criterion(criterion)


def test_chance_is_no_better_than_chance() -> None:
    check_criterion(RANDOM, beats_chance=False)


@pytest.mark.parametrize(
    ("score", "said"),
    [
        (worst_first, "no better than chance"),
        (twice, "does not list every unit once"),
        (one_cell_after_the_other, "one unit of every cell"),
        (falling, "does not rise from 0"),
        (unknown_loss, "finite losses"),
        (own_chance, "takes chance from elsewhere"),
        (writes, "writes into its evidence"),
        (lambda *_: (np.zeros((2, 2), int), np.zeros(3)), r"has the shape \[2, 2\]"),
    ],
)
def test_planted_mistakes(score: Any, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_criterion(changed(score))


def test_what_is_declared() -> None:
    for wrong, said in (
        (replace(MAGNITUDE, paper=""), "no paper"),
        (replace(MAGNITUDE, needs=frozenset({"luck"})), "needs .'luck'"),
        (magnitude, "has no name, paper, needs and rank"),
    ):
        with pytest.raises(AssertionError, match=said):
            check_criterion(wrong)


@pytest.mark.parametrize("what", ["gradients", "labels", "gates"])
def test_what_is_not_there_is_asked_for_in_vain(what: str) -> None:
    with pytest.raises(AssertionError, match=f"asks for {what}, and none are provided"):
        check_criterion(Asks(frozenset({what}), what))
