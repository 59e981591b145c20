"""Written forms solved again: against a slow fit, for grouped layers, beside a shortcut, and on trained weights."""

from typing import Any

import digits
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from oracle import distance
from oracle import run as outputs
from scipy.optimize import least_squares
from zoo import ARCHITECTURES, feeds
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.layers.forms import Fitted, Form, Written
from optimise_onnx.passes.analysis.statistics.judge import judge
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.decompose.families import FAMILIES
from optimise_onnx.passes.decompose.grouped import BlockForm
from optimise_onnx.passes.decompose.pairs import FittedPair, Pair
from optimise_onnx.passes.decompose.strided import Strided
from optimise_onnx.passes.decompose.tap_split import TapSplit
from optimise_onnx.passes.reconstruct.paired import PairedMoments
from optimise_onnx.passes.reconstruct.reform import refitted
from optimise_onnx.passes.reconstruct.sweep import Sweep
from tests.passes.decompose.cases import the_layer
from tests.passes.decompose.passing import calibrated, network, run
from tests.passes.decompose.rewriting import Case, conv_case

Array = NDArray[Any]


def forms(case: Case) -> dict[str, Form]:
    strided = Strided().forms(case.layer)
    return {
        "pair": Pair(TapSplit((3, 3), (1,)), 2),
        "blocks": BlockForm((3, 3), 2, 1),
        "one stride": next(form for form in strided if "+" not in form.text),
        "two strides": next(form for form in strided if "+" in form.text),
    }


def paired(x: Array, y: Array) -> PairedMoments:
    """Moments of rows (g, n, d) and targets (g, n, m)."""
    found = PairedMoments(len(x), x.shape[2], y.shape[2])
    found.update(x, y, x.shape[1])
    return found


def slow(fitted: Fitted, x: Array, y: Array) -> float:
    """Return the least mean squared error of a form of this structure, by a general optimiser from its weights."""
    rest, wanted = x - x.mean(0), y - y.mean(0)
    support = fitted.matrix[0] != 0

    def residual(values: Array) -> Array:
        if isinstance(fitted, FittedPair):
            cut = fitted.first.size
            parts = values[:cut].reshape(fitted.first.shape), values[cut:].reshape(fitted.second.shape)
            matrix = fitted.form.split.matrix(*parts)[0]
        else:
            matrix = np.zeros(support.shape)
            matrix[support] = values
        return np.asarray((rest @ matrix - wanted).ravel())

    start = fitted.matrix[0][support]
    if isinstance(fitted, FittedPair):
        start = np.concatenate([fitted.first.ravel(), fitted.second.ravel()])
    return float(np.square(least_squares(residual, start).fun).sum() / len(x))


@pytest.mark.parametrize("kind", ["pair", "blocks", "one stride", "two strides"])
def test_a_form_solved_again_is_the_best_of_its_structure(kind: str) -> None:
    case, rng = conv_case(2, 4, (3, 3)), np.random.default_rng(0)
    form = forms(case)[kind]
    mixing = rng.standard_normal((18, 18))
    x = rng.standard_normal((400, 18)) @ mixing
    y = x @ (case.weight[0] + 0.1 * rng.standard_normal((18, 4))) + 3
    cov = np.cov(x.T, bias=True)[None]
    before = form.fit(cov, cov @ case.weight)
    again, bias = refitted(Written(case.layer, before, ("",)), paired(x[None], y[None]), 1e-3)

    def error(fitted: Fitted, shift: Array) -> float:
        return float(np.square(x @ fitted.matrix[0] + shift - y).sum() / len(x))

    least = slow(again.fitted, x, y)
    naive = (y - x @ before.matrix[0]).mean(0)
    assert least <= error(again.fitted, bias) <= least * 1.01 + 1e-6
    assert error(again.fitted, bias) < 0.99 * error(before, naive)
    np.testing.assert_allclose((x @ again.fitted.matrix[0] + bias).mean(0), y.mean(0), atol=1e-6)


def test_many_small_groups_are_solved_with_the_ridge_asked_for() -> None:
    """Depthwise pairs: the form is near the fit in the metric of what the layer reads, not near its weights."""
    rng = np.random.default_rng(0)
    form, prior = Pair(TapSplit((3, 3), (1,)), 1), rng.standard_normal((5, 9, 1))
    x = rng.standard_normal((5, 300, 9)) @ (rng.standard_normal((5, 9, 9)) * np.geomspace(1, 0.03, 9))
    y = x @ prior + 0.5
    b = Builder("depthwise")
    graph, _ = calibrated(b.model(b.depthwise(b.input("x", ["N", 5, 6, 7]))), 0)
    cov = np.stack([np.cov(rows.T, bias=True) for rows in x])
    case = Written(the_layer(graph), form.fit(cov, cov @ prior), ("",))
    again, bias = refitted(case, paired(x, y), 1e-6)
    wanted = form.fit(cov, cov @ prior)
    np.testing.assert_allclose(again.fitted.matrix, wanted.matrix, atol=1e-3 * np.abs(wanted.matrix).max())
    made = x @ again.fitted.matrix + bias.reshape(5, 1, 1)
    np.testing.assert_allclose(made.mean(1), y.mean(1), atol=1e-6)


def swept(model: onnx.ModelProto, pipeline: str, rounds: int = 0, count: int = 64) -> tuple[Graph, Graph, Context]:
    """Decompose a network and sweep over it once; return it before and after."""
    graph, shared = calibrated(model, count)
    found = run(pipeline, graph, shared)
    assert shared.plan.written and shared.calibration is not None
    solved = found.copy()
    Sweep(solved, shared, shared.calibration, 1e-3, rounds, 3).solve()
    return found, solved, shared


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_biases_are_right_after_the_sweep(family: str) -> None:
    b = Builder("means")
    x = b.relu(b.conv(b.input("x", ["N", 64, 4, 5]), 64))
    model = b.model(b.conv(x, 64))
    _, solved, shared = swept(model, f"decompose{{forms={family},share=0.5}}", count=40)
    inputs = feeds(model, 1, 40)
    assert len(shared.plan.written) == 2
    wanted, got = (outputs(graph, inputs)[0].mean((0, 2, 3)) for graph in (shared.original, solved))
    np.testing.assert_allclose(got, wanted, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("kind", ["matmul", "biased_matmul", "grouped", "residual"])
@pytest.mark.parametrize("rounds", [0, 1])
def test_a_sweep_brings_the_outputs_nearer(kind: str, rounds: int) -> None:
    model = network(kind)
    found, solved, shared = swept(model, "decompose{share=0.6}", rounds, 256)
    unseen = feeds(model, 5, 64)
    apart = [
        np.square(outputs(graph, unseen)[0] - outputs(shared.original, unseen)[0]).mean() for graph in (found, solved)
    ]
    assert apart[1] < 0.95 * apart[0]


@pytest.mark.parametrize("kind", ["matmul", "biased_matmul"])
def test_the_mean_of_a_product_with_an_addend_is_right(kind: str) -> None:
    model = network(kind)
    _, solved, shared = swept(model, "decompose{forms=low-rank,share=0.6}", count=64)
    inputs = feeds(model, 1, 64)
    wanted, got = (outputs(graph, inputs)[0].mean((0, 1)) for graph in (shared.original, solved))
    np.testing.assert_allclose(got, wanted, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_branch_makes_up_for_its_shortcut(family: str) -> None:
    """The shortcut is a rewritten layer whose error the branch, of the same inputs and kernel, can express."""
    b = Builder("shortcut")
    x = b.input("x", ["N", 32, 5, 6])
    y = b.add(b.conv(b.relu(x), 32), b.conv(b.relu(x), 32))
    model = b.model(y)
    found, solved, shared = swept(model, f"decompose{{forms={family},share=0.6}}", count=256)
    unseen = feeds(model, 5, 64)
    apart = [distance(graph, shared.original, unseen) for graph in (found, solved)]
    assert apart[1] < 0.97 * apart[0]


@pytest.mark.parametrize("name", ["vgg_gap", "resnet_projection", "mobilenet_v2"])
def test_divergence_falls_on_random_networks(name: str) -> None:
    model = ARCHITECTURES[name]()
    graph, shared = calibrated(model, 64)
    graph = run("fold-constants,fold-batch-norm", graph, shared)
    plain = run("decompose{share=0.5}", graph, shared)
    solved = run("reconstruct", plain, shared)
    examiner = judge(graph, Calibration.from_arrays(feeds(model, 9, 32)), OrtRunner(1))
    assert examiner.of(solved) < examiner.of(plain)


@pytest.mark.parametrize("family", [*sorted(FAMILIES), "all"])
def test_divergence_falls_on_a_trained_network(family: str) -> None:
    shared = digits.context(256)
    plain = digits.run(f"decompose{{forms={family},share=0.4}}", shared)
    solved = digits.run("reconstruct", shared, plain.copy())
    assert digits.examiner().of(solved) < 0.7 * digits.examiner().of(plain)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_forms_are_repaired_after_an_exact_pass_too(family: str) -> None:
    """As layers of their own, where their forms are not known to stand any more."""
    model = ARCHITECTURES["resnet_projection"]()
    graph, shared = calibrated(model, 64)
    plain = run(f"decompose{{forms={family},share=0.6}},fold-batch-norm", graph, shared)
    assert shared.plan.formed and not shared.plan.written
    solved = run("reconstruct", plain, shared)
    examiner = judge(graph, Calibration.from_arrays(feeds(model, 9, 32)), OrtRunner(1))
    assert examiner.of(solved) < 0.97 * examiner.of(plain)
