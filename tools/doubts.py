"""Whether images look as if they were turned into numbers in another way than the network was trained with."""

from __future__ import annotations

from dataclasses import replace
from math import log

import numpy as np

from ..ir.budget import roomy_batch
from ..ir.feeds import Calibration
from ..ir.graph import Array, Graph
from ..ir.runner import Runner, Session

_SAMPLES = 32
_BATCH = 16
_MORE, _LEAST = 1.05, 0.5  # times what is told now, and of what could be told: below, another way is no better
_NOTHING = 0.02  # of what could be told: below, all images look alike to the network


def doubts(graph: Graph, runner: Runner, data: Calibration) -> tuple[str, ...]:
    """Warn where a classifier's outputs for the first images tell little, or less than with other preprocessing.

    What they tell is the mutual information of image and class, in nats: the entropy of the mean of the predicted
    distributions less the mean of their entropies. It is low for outputs that are flat, saturated at one class, or all
    alike. Silent for data without other readings, few of them, and networks without an output (samples, classes).
    """
    found = told(graph, runner, data)
    if found is None:
        return ()
    now, possible, others = found
    best = max(others, key=others.__getitem__)
    more = others[best]
    warning = "warning: the images look as if they were preprocessed otherwise than the network expects: "
    if more > _MORE * now and more > _LEAST * possible:
        return (f"{warning}its outputs tell {more:.2f} nats of them with --preprocess {best}, {now:.2f} as it is",)
    if now < _NOTHING * possible:
        return (f"{warning}its outputs are nearly the same for all of them; see --preprocess in docs/data.md",)
    return ()


def told(graph: Graph, runner: Runner, data: Calibration) -> tuple[float, float, dict[str, float]] | None:
    """Return what outputs tell of the first images, in nats: as they are, at most, and by each other preprocessing.

    None for data without other readings, few of them, and networks without an output (samples, classes).
    """
    if not data.others or data.samples < _SAMPLES // 2:
        return None
    session, few = runner.session(graph), data.head(_SAMPLES).only(tensor.name for tensor in graph.inputs)
    found = _told(graph, session, few)
    if found is None:
        return None
    others = {name: _told(graph, session, replace(few, source=source)) for name, source in data.others.items()}
    return *found, {name: other[0] if other else 0.0 for name, other in others.items()}


def _told(graph: Graph, session: Session, data: Calibration) -> tuple[float, float] | None:
    """Return what outputs tell of images, and the most that they could; None where no output is (samples, classes)."""
    parts = []
    for feeds in data.batches(roomy_batch(graph, _BATCH)):
        outputs = session.run(feeds).values()
        scores = next((one for one in outputs if one.ndim == 2 and one.dtype.kind == "f" and one.shape[1] > 1), None)
        if scores is None:
            return None
        parts.append(scores)
    shares = _shares(np.concatenate(parts).astype(np.float64))
    return _entropy(shares.mean(0)) - _entropy(shares) / len(shares), log(min(shares.shape))


def _shares(scores: Array) -> Array:
    """Return distributions over classes: rows that are some already, or softmax of scores."""
    if scores.min() >= 0 and np.allclose(scores.sum(1), 1, atol=1e-3):
        return scores
    shifted = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(shifted / shifted.sum(1, keepdims=True))


def _entropy(shares: Array) -> float:
    """Return the sum of all rows' entropies."""
    return float(-(shares * np.log(np.maximum(shares, 1e-12))).sum())
