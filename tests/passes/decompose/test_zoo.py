"""The whole pipeline with forms on networks of all kinds: within the target, same inputs and outputs, finite."""

import numpy as np
import pytest
from oracle import run as outputs
from zoo import ZOO, feeds

from optimise_onnx.ir.errors import TargetNotMetError
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.costs.target import Target
from tests.passes.decompose.passing import calibrated, network, run

PIPELINE = (
    "fold-constants,fold-batch-norm,select-channels,offer-forms,"
    "allocate{{target={target}}},remove-channels,decompose,reconstruct"
)
ALL_KINDS = (
    "attention_separate",
    "channel_shuffle",
    "concat_dense_chain",
    "conv1d",
    "conv3d",
    "conv_transpose_group",
    "depthwise_multiplier",
    "focus_slices",
    "gemm_trans_b",
    "grouped_concat_border",
    "nhwc_tf",
    "qdq_weight_per_axis",
    "reshape_batch_fixed",
    "shared_conv_weight",
    "split_unequal",
    "vit",
)


def check(name: str, target: str, samples: int) -> Graph:
    """Run the pipeline; compare the result with the model."""
    model = ZOO[name]() if name in ZOO else network(name)
    graph, shared = calibrated(model, samples)
    found = run(PIPELINE.format(target=target), graph, shared)
    wanted = Target.parse(target)
    assert wanted.quantity.of(found) <= wanted.budget(wanted.quantity.of(graph))
    for before, after in zip((*graph.inputs, *graph.outputs), (*found.inputs, *found.outputs), strict=True):
        assert (before.name, before.shape, before.dtype) == (after.name, after.shape, after.dtype)
    inputs = feeds(model, 3, 2)
    for before, after in zip(outputs(graph, inputs), outputs(found, inputs), strict=True):
        assert before.shape == after.shape
        assert np.isfinite(after).all()
    return found


@pytest.mark.parametrize("name", ALL_KINDS[::2])
def test_a_target_is_met(name: str) -> None:
    check(name, "macs=0.7x", 16)


@pytest.mark.parametrize(
    ("name", "kind"), [("conv_transpose_group", "params"), ("concat_dense_chain", "bytes"), ("ghost_module", "params")]
)
def test_other_costs_are_met(name: str, kind: str) -> None:
    check(name, f"{kind}=0.7x", 8)


@pytest.mark.parametrize(
    ("name", "samples"),
    [("residual", 0), ("residual", 2), ("matmul", 1), ("grouped", 1), ("tiny", 3), ("depthwise_separable", 2)],
)
def test_few_samples_or_none_are_enough(name: str, samples: int) -> None:
    check(name, "macs=0.6x", samples)


def test_an_unreachable_target_is_told() -> None:
    with pytest.raises(TargetNotMetError):
        check("residual", "macs=0.0001x", 4)
