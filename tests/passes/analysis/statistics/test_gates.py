"""Gates: closed they are masks, slopes are those of the loss, and soft ones close on what is not worth its price."""

from functools import cache
from typing import Any

import digits
import numpy as np
import pytest

from optimise_onnx.ir.graph import Array
from optimise_onnx.passes.analysis.channels.masking import masked
from optimise_onnx.passes.analysis.statistics.gates import Gates, soft_gates
from optimise_onnx.passes.analysis.statistics.reads import copied, read_moments, reads, regressed
from optimise_onnx.passes.analysis.view import View


@cache
def view() -> View:
    return View(digits.network().copy())


def gates(means: Any = None) -> Gates:
    samples = digits.calibration(digits.samples().calibration[:64])
    return Gates(view().graph, view().channels, samples, digits.RUNNER, means or {})


@cache
def moments() -> Any:
    batches = digits.calibration(digits.samples().calibration[:64]).batches(32)
    return read_moments(view().graph, reads(view().graph, view().channels, 32), batches, digits.RUNNER)


def drawn(rng: np.random.Generator) -> Array:
    return rng.random(gates().classes) < 0.5


def test_closed_gates_are_masks() -> None:
    group = view().channels.groups[0]
    shut = np.zeros((1, gates().classes))
    shut[0, group.cells[:, :4]] = 1
    feeds = next(gates().batches())
    loss, _ = gates().slopes(feeds, shut)
    kept = {group.name: group.cells[:, 4:].ravel()}
    original, other = (
        digits.RUNNER.session(graph).run(feeds)["logits"]
        for graph in (view().graph, masked(view().graph, view().channels, kept))
    )
    whole = digits.RUNNER.session(view().graph).run({"image": digits.samples().calibration[:64]})["logits"]
    assert loss == pytest.approx(((original - other) ** 2).sum() / whole.var() / whole[0].size / 32, rel=1e-3)


@pytest.mark.parametrize("ways", [1, 2])
def test_slopes_are_those_of_the_loss(ways: int) -> None:
    found = gates({key: each.mean for key, each in moments().items()} if ways == 2 else None)
    rng, feeds = np.random.default_rng(0), next(found.batches())
    stays = drawn(rng)
    copies = {r.key: regressed(r, moments()[r.key], stays) for r in found.reads if r.axis is not None}
    at = rng.random((ways, found.classes)) * 0.5
    _, slopes = found.slopes(feeds, at, copies)
    pairs = []
    for _ in range(3):
        way = rng.standard_normal(at.shape) * 3e-4
        up, down = (found.slopes(feeds, at + sign * way, copies)[0] for sign in (1, -1))
        pairs.append((up - down, 2 * np.vdot(slopes, way)))
    measured, said = np.array(pairs).T
    assert np.linalg.norm(measured - said) < 0.05 * np.linalg.norm(said)


def test_standins_are_partners_and_regressions() -> None:
    read = next(r for r in reads(view().graph, view().channels, 32) if r.axis is not None)
    known, atoms = moments()[read.key], read.atoms.ravel()
    names, partner = np.unique(atoms), np.full(gates().classes, -1)
    partner[names[0]] = names[1]
    mix = copied(read, known, partner).mix
    (first,), (other,) = (np.flatnonzero(atoms == name)[:1] for name in names[:2])
    assert mix[first, other] == pytest.approx(known.cov[first, other] / known.cov[other, other])
    assert np.count_nonzero(mix) <= (atoms == names[0]).sum()
    stays = np.ones(gates().classes, bool)
    stays[names[0]] = False
    found = regressed(read, known, stays)
    assert not found.mix[:, first].any() and found.mix[first].any()
    assert found.mix @ known.mean.ravel() + found.rest == pytest.approx(known.mean.ravel())


def test_soft_gates_close_on_what_is_not_worth_its_price() -> None:
    samples = digits.calibration(digits.samples().calibration[:64])
    price = np.zeros(gates().classes)
    group = view().channels.groups[1].cells.ravel()
    price[group] = 1e3
    found = soft_gates(view().graph, view().channels, samples, digits.RUNNER, price, 20)
    others = np.setdiff1d(np.concatenate([g.cells.ravel() for g in view().channels.groups]), group)
    assert (found[group] < 0.6).all() and (found[others] > 0.6).mean() > 0.8
