"""Scores are the means of the network's own gates over all members of a group, else of gates fitted to its outputs."""

import digits
import numpy as np
from oracle import graph_of
from zoo import ARCHITECTURES, feeds

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.feeds import Calibration
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.select.evidence import Evidence, Study
from optimise_onnx.passes.select.gate_mean import GATE_MEAN


def evidence(study: Study, name: str) -> Evidence:
    group = next(group for group in study.channels.groups if group.name == name)
    return Evidence(study, group, np.random.default_rng(0), GATE_MEAN.needs)


def test_the_mean_of_the_networks_own_gates() -> None:
    model = ARCHITECTURES["se_residual"]()
    graph, data = graph_of(model), feeds(model, 0, 12)
    context = Context(OrtRunner(1), graph, Calibration.from_arrays(data), verify=False)
    study = Study(context.view(graph), context, {})
    gated = [evidence(study, group.name) for group in study.channels.groups]
    gated = [each for each in gated if each.squeeze_excite]
    assert len(gated) == 2
    given = context.fitting()
    for each in gated:
        (gate,) = each.squeeze_excite
        session = OrtRunner(1).session(graph, outputs=[gate])
        means = np.concatenate([session.run(batch)[gate] for batch in given.batches(4)]).mean((0, 2, 3))
        order, curve = GATE_MEAN.rank(each)
        assert order.ravel().tolist() == np.argsort(means).tolist()
        np.testing.assert_allclose(np.diff(curve), np.sort(means), rtol=1e-5)


def test_gates_are_fitted_where_there_are_none() -> None:
    """A channel that no reader uses is shut: nothing holds it open against its price."""
    context = digits.context(64)
    graph = digits.network().copy()
    study = Study(context.view(graph), context, {})
    group = study.channels.groups[1]
    (reader, *others) = evidence(study, group.name).readers
    assert not others
    weight = graph.node(reader.node).inputs[1]
    silent = weight.array.copy()
    silent[:, 3] = 0
    graph.set_array(weight, silent)
    found = evidence(Study(context.view(graph), context, {}), group.name)
    order, curve = GATE_MEAN.rank(found)
    scores = found.fitted_gates
    assert scores[3] < 0.1 < 0.5 < scores.max()
    assert order.ravel().tolist() == np.lexsort((-np.arange(len(scores)), scores)).tolist()
    np.testing.assert_allclose(np.diff(curve), np.sort(scores))
