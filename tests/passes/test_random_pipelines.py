"""Pipelines drawn at random: each is refused in one line, or ends with what its passes promise together."""

import numpy as np
import pytest
from oracle import graph_of
from zoo import ZOO, feeds

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.errors import TargetNotMetError, UsageError
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.passes.analysis.statistics.judge import judge
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.manager import PassManager
from tests.passes.composing import disagreements

NETWORKS = [
    "resnet_projection",
    "vgg_gap",
    "grouped_conv",
    "channel_shuffle",
    "concat_dense_chain",
    "flatten_nhwc",
    "mlp",
]
EXACT = ["fold-constants", "fold-batch-norm", "fold-padding", "remove-dead-channels", "merge-duplicate-channels"]
REMOVAL = "select-channels{{criterion={criterion},keep={keep}}},remove-channels"
REPAIRS = ["reconstruct", "reconstruct{{rounds=0}}", "fold-channels{{into={into}}}"]
BLOCKS = [
    REMOVAL,
    REMOVAL,
    "decompose{{forms={form},share={keep}}}",
    "select-channels,allocate{{target=macs={keep}x}},remove-channels",
    "select-channels,offer-forms{{forms={form}}},allocate{{target=macs={keep}x}},remove-channels,decompose",
    f"sample-inputs,{REMOVAL},drop-samplers",
    *EXACT,
    *REPAIRS,
]
PIECES = [
    "select-channels{{criterion={criterion}}}",
    "select-channels{{criterion={criterion},keep={keep}}}",
    "offer-forms{{forms={form}}}",
    "allocate{{target=params={keep}x}}",
    "remove-channels",
    "decompose",
    "sample-inputs",
    "drop-samplers",
    *BLOCKS,
]


def drawn(seed: int, parts: list[str], most: int) -> str:
    """A pipeline of two parts or more, its options drawn too."""
    rng = np.random.default_rng(seed)
    told = [
        str(rng.choice(parts)).format(
            criterion=rng.choice(["obs", "magnitude", "random"]),
            keep=rng.choice([0.5, 0.7, 0.9]),
            form=rng.choice(["stretch", "low-rank", "strided", "grouped"]),
            into=rng.choice(["mean", "partner", "survivors"]),
        )
        for _ in range(rng.integers(2, most + 1))
    ]
    return ",".join(told)


@pytest.mark.parametrize("start", range(0, 200, 50))
def test_any_order_is_refused_in_one_line_or_parses(start: int) -> None:
    refused = 0
    for seed in range(start, start + 50):
        text = drawn(seed, PIECES, 6)
        try:
            written = str(PassManager.parse(text))
            assert str(PassManager.parse(written)) == written
        except UsageError as error:
            refused += 1
            assert "\n" not in str(error) and error.hint and error.hint.startswith("put "), text
    assert 10 < refused < 50


def ran(text: str, name: str, samples: int) -> None:
    """Run a pipeline, check what it promises, then end it with a repair, which must not make it worse."""
    model = ZOO[name]()
    graph = graph_of(model)
    data = Calibration.from_arrays(feeds(model, 0, samples)) if samples else None
    shared = Context(OrtRunner(1), graph.copy(), data)
    try:
        PassManager.parse(text).run(graph, shared)
    except TargetNotMetError:
        return
    plan = shared.plan
    exact = not any(word in text for word in ("decompose", "reconstruct", "fold-channels", "allocate", "sample-inputs"))
    if exact and plan.reference is not None and plan.class_mask(graph) is not None:
        assert disagreements(model, graph, plan)[0] == []
    if plan.reference is None or data is None:
        assert all(np.isfinite(y).all() for y in OrtRunner(1).session(graph).run(feeds(model, 1, 2)).values())
        return
    examiner = judge(plan.reference.graph, shared.judging(128), OrtRunner(1))
    before = examiner.of(graph)
    PassManager.parse("reconstruct", given=plan.facts).run(graph, shared)
    assert examiner.of(graph) <= before * (1 + 1e-6)


@pytest.mark.parametrize("seed", range(14))
def test_what_is_not_refused_does_what_it_says(seed: int) -> None:
    text = drawn(1000 + seed, BLOCKS, 5)
    try:
        PassManager.parse(text)
    except UsageError:
        text = f"{drawn(2000 + seed, [REMOVAL], 2)},{text}"  # a repair stood first
        PassManager.parse(text)
    ran(text, NETWORKS[seed % len(NETWORKS)], 24 if seed % 3 else 0)
