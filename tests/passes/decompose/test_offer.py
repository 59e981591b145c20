"""``offer-forms``: which layers get offers, and what it needs before it."""

import numpy as np
import pytest
from zoo import ZOO

from optimise_onnx.ir.errors import UsageError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.layers.forms import Offer
from optimise_onnx.passes.decompose.offer import OfferForms
from optimise_onnx.passes.manager import apply
from optimise_onnx.passes.select.select_channels import SelectChannels
from tests.passes.decompose.passing import calibrated, network, run


def offered(name: str, options: str = "", samples: int = 16) -> tuple[tuple[Offer, ...], Graph]:
    """Return the offers for the layers of a network, and the network."""
    graph, shared = calibrated(ZOO[name]() if name in ZOO else network(name), samples)
    run(f"fold-constants,fold-batch-norm,select-channels,offer-forms{options}", graph, shared)
    assert shared.plan.offers is not None
    return shared.plan.offers, shared.original


def nodes(offers: tuple[Offer, ...]) -> list[str]:
    """Name the layers with offers."""
    return [offer.layer.node for offer in offers]


def test_every_form_of_a_layer_has_an_error() -> None:
    offers, _ = offered("vgg_gap")
    assert len(offers) > 2
    for offer in offers:
        forms = offer.forms(offer.layer)
        assert len(forms) == len(offer.errors) > 0
        assert np.isfinite(offer.errors).all() and (offer.errors > -1e-6).all() and (offer.errors <= 1 + 1e-6).all()


def test_layers_that_read_no_channels_of_a_group_are_offered_forms_too() -> None:
    offers, graph = offered("vgg_gap")
    first = next(node for node in graph.nodes if node.op == "Conv")
    assert first.name == nodes(offers)[0]


def test_only_the_families_asked_for_are_offered() -> None:
    offers, _ = offered("vgg_gap", "{forms=strided;stretch}")
    assert {family.name for offer in offers for family in offer.families} == {"strided", "stretch"}


def test_kept_nodes_and_operators_are_not_offered_other_forms() -> None:
    names = nodes(offered("vgg_gap")[0])
    kept = nodes(offered("vgg_gap", f"{{keep_nodes=^{names[1]}$}}")[0])
    assert kept == [name for name in names if name != names[1]]
    none = nodes(offered("vgg_gap", "{keep_types=Conv}")[0])
    assert none == [name for name in names if "Gemm" in name or "gemm" in name]


@pytest.mark.parametrize("name", ["shared_conv_weight", "qdq_weight_per_axis", "matmul_constant_left"])
def test_a_weight_that_is_not_the_layers_own_floats_is_left_alone(name: str) -> None:
    offers, graph = offered(name)
    for offer in offers:
        weight = graph.node(offer.layer.node).inputs[offer.layer.weight_index]
        assert weight.is_constant and len(weight.consumers) == 1
    layers = sum(node.op in ("Conv", "Gemm", "MatMul") for node in graph.nodes)
    assert len(offers) < layers


def test_without_data_it_says_so_and_nothing_is_rewritten() -> None:
    graph, shared = calibrated(network("residual"), 0)
    run("select-channels", graph, shared)
    outcome = apply(OfferForms(), graph, shared)
    assert not outcome.changed
    assert outcome.notes == ("no calibration data: every layer keeps its form",)
    found = run("select-channels,offer-forms,allocate{target=macs=0.7x},remove-channels", graph, shared)
    assert shared.plan.decision.forms == {}
    assert run("decompose,reconstruct", found, shared).to_model() == run("reconstruct", found, shared).to_model()


def test_wrong_use_is_explained() -> None:
    graph, shared = calibrated(network("residual"), 16)
    with pytest.raises(UsageError, match="offer-forms needs a ranking of the channels") as unranked:
        apply(OfferForms(), graph, shared)
    apply(SelectChannels(), graph, shared)
    with pytest.raises(UsageError, match="no family of forms is called 'fourier'") as unknown:
        apply(OfferForms(forms=("stretch", "fourier")), graph, shared)
    assert unranked.value.hint == "put select-channels before it"
    assert (
        unknown.value.hint
        == "one of grouped, low-rank, stretch, strided, lowered, grouped-particle, strided-particle, all"
    )
