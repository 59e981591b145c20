"""Samplers: exact, one group each, gone where selection leaves them whole, and worth their copying in MACs."""

import digits
import numpy as np
import pytest
from oracle import graph_of, half, oracle_error
from zoo import ARCHITECTURES, feeds
from zoo.builder import Builder

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.passes.analysis.channels.groups import analyse
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.select.sampler import DropSamplers, SampleInputs


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_removal_through_samplers_is_exact(name: str) -> None:
    model = ARCHITECTURES[name]()
    graph = graph_of(model)
    SampleInputs().run(graph, Context(OrtRunner(1), graph))
    channels = analyse(graph)
    kept = half(channels, np.random.default_rng(0))
    assert oracle_error(graph, channels, kept, feeds(model, 0)) < 1e-5


def test_what_selection_leaves_whole_is_taken_out() -> None:
    for build in ARCHITECTURES.values():
        graph = graph_of(build())
        before = [node.name for node in graph.nodes]
        SampleInputs().run(graph, Context(OrtRunner(1), graph))
        DropSamplers().run(graph, Context(OrtRunner(1), graph))
        assert [node.name for node in graph.nodes] == before


def test_every_reader_of_a_stream_gets_a_group_of_its_own() -> None:
    b = Builder("stream")
    x = b.relu(b.conv(b.input("x", ["N", 3, 8, 8]), 8))
    y = b.relu(b.add(b.conv(b.conv_relu(x, 6), 8), x))
    graph = graph_of(b.model(b.head(y)))
    outcome = SampleInputs().run(graph, Context(OrtRunner(1), graph))
    assert outcome.figures["samplers"] == 2
    assert sorted(group.width for group in analyse(graph).groups) == [6, 8, 8]


def test_samplers_lose_less_at_the_same_macs() -> None:
    text = "select-channels,allocate{target=macs=0.4x},remove-channels,reconstruct"
    errors = [digits.examiner().of(digits.run(run, digits.context())) for run in (text, f"sample-inputs,{text}")]
    assert errors[1] < 1.2 * errors[0]
