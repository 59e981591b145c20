"""The diagonal of the Fisher matrix by masks: how much the outputs' likelihood depends on every channel.

``F_i = mean over samples of (d log p(y) / d m_i)^2``, ``m_i`` a factor on all of a channel where layers read it. The
derivatives of all its places are summed before they are squared. ``y`` is drawn from the network's own output: labels
from the softened scores that the divergence compares; of other numbers, standardised, a random sign each.

Reference: Liu, Zhang, Kuang et al., "Group Fisher pruning for practical network compression", ICML 2021,
arXiv 2108.00708, which takes the labels of the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ....ir.adjoint.program import Program
from ....ir.adjoint.sheet import Sheet
from ....ir.feeds import Calibration, Feeds, batch_size, length, repeated
from ....ir.graph import Array, Graph
from ....ir.runner import Runner
from ....ir.shapes import Shape, concrete, input_sizes
from ..channels.groups import Channels
from ..outputs.aims import Aim, aims
from .divergence import TEMPERATURE

_BATCH = 32
_LEAST = 1e-20  # below any probability that counts
_SCALED = 256  # samples that the scale of an output is taken from


def fisher(
    graph: Graph, channels: Channels, samples: Calibration, runner: Runner, rng: np.random.Generator, draws: int
) -> Array:
    """Return ``F`` of every class of channels, (classes,), float64, from ``draws`` labels a sample.

    Raises UnsupportedOpError at a node without a gradient.
    """
    probe = _Probe(graph, channels, samples, runner)
    total, count = np.zeros(channels.context.registry_size()), 0
    for feeds in samples.batches(probe.batch):
        for _ in range(draws):
            slopes = probe.slopes(feeds, rng)
            total += (slopes**2).sum(0)
            count += length(feeds, samples.lie)
    return total / max(count, 1)


class _Probe:
    """Computes the derivatives by every class of channels, sample by sample."""

    def __init__(self, graph: Graph, channels: Channels, samples: Calibration, runner: Runner) -> None:
        samples.check_even("the criterion fisher")
        marked, self._ends = _marked(graph, channels)
        self._lie = samples.lie
        self.batch = batch_size(graph, _BATCH)
        self._apart = _by_samples(marked, self._ends, self.batch)
        if not self._apart:
            self.batch = batch_size(graph, 1)
        self._shapes = concrete(marked, input_sizes(marked, self.batch))
        self._aims = aims(marked, self._shapes)
        program = Program(marked, self._shapes)
        self._noise = {aim.tensor: program.input("noise", self._shapes[aim.tensor]) for aim in self._aims}
        scales = _scales(graph, self._aims, samples.head(_SCALED), runner)
        slopes = {aim.tensor: _slope(program.sheet, aim, self._noise[aim.tensor], scales) for aim in self._aims}
        found = program.backward(slopes, list(self._ends))
        named = {f"{name}_slope": self._summed(program.sheet, name, slope) for name, slope in found.items()}
        self._classes, self._found = channels.context.registry_size(), list(found)
        self._session = runner.session(program.graph(named))

    def _summed(self, sheet: Sheet, name: str, slope: str) -> str:
        """Multiply a tensor by its slope and sum over positions, and over samples where these are not told apart."""
        product, form = sheet.add("Mul", name, slope), self._ends[name].shape
        return sheet.sum(product, [axis for axis, size in enumerate(form) if size == 1 and (axis or not self._apart)])

    def slopes(self, feeds: Feeds, rng: np.random.Generator) -> Array:
        """Return the derivatives (samples, classes); of a batch as a whole, (1, classes), where samples are not told
        apart: labels are drawn independently, so its square is the sum of theirs in the mean.
        """
        count, rows = length(feeds, self._lie), self.batch if self._apart else 1
        full = repeated(feeds, self.batch, self._lie)
        noise = {self._noise[aim.tensor]: _noise(aim, self._shapes[aim.tensor], rng) for aim in self._aims}
        values = self._session.run({**full, **noise})
        total = np.zeros((self._classes, rows))
        for name in self._found:
            found = values[f"{name}_slope"].reshape(rows, -1).astype(np.float64)
            np.add.at(total, self._ends[name].ravel(), found.T)
        return total.T[:count]


def _marked(graph: Graph, channels: Channels) -> tuple[Graph, dict[str, Array]]:
    """Return a copy in which what a layer sums over is a tensor of its own, and the classes along each by its name."""
    copy, ends = graph.copy(), {}
    nodes = {node.name: node for node in copy.nodes}
    for end in channels.context.contractions:
        node = nodes[end.node]
        source = node.inputs[end.operand]
        own = copy.variable(f"{node.name}_read", source.dtype)
        copy.insert("Identity", [source], [own], before=node)
        node.set_input(end.operand, own)
        ends[own.name] = end.labels.atoms
    return copy, ends


def _by_samples(graph: Graph, ends: Mapping[str, Array], batch: int) -> bool:
    """Whether the first axis of every tensor counts samples: it is as long as a batch of whatever size."""
    if batch_size(graph, batch + 1) == batch or any(atoms.ndim < 2 or atoms.shape[0] > 1 for atoms in ends.values()):
        return False
    shapes = [concrete(graph, input_sizes(graph, size)) for size in (batch, batch + 1)]
    return all(each[name][0] == batch + more for name in ends for more, each in enumerate(shapes))


def _noise(aim: Aim, shape: Shape, rng: np.random.Generator) -> Array:
    """Draw Gumbel noise for scores, signs for other numbers."""
    drawn = rng.gumbel(size=shape) if aim.classes is not None else rng.choice((-1.0, 1.0), shape)
    return np.asarray(drawn, np.float32)


def _scales(graph: Graph, aimed: Sequence[Aim], samples: Calibration, runner: Runner) -> dict[str, float]:
    """Return the standard deviation of the numbers that are no scores."""
    names = [aim.tensor for aim in aimed if aim.classes is None]
    if not names:
        return {}
    session = runner.session(graph, outputs=names)
    runs = [session.run(feeds) for feeds in samples.batches(batch_size(graph, _BATCH))]
    return {name: float(np.concatenate([run[name].ravel() for run in runs]).std()) or 1.0 for name in names}


def _slope(sheet: Sheet, aim: Aim, noise: str, scales: Mapping[str, float]) -> str:
    """Return the derivative of ``log p(y)`` by the tensor, ``y`` drawn from it by the noise.

    Of scores z, ``p = softmax(z / T)`` and labels are drawn with ``q ~ p |e - p|``, ``e`` the label as a vector; the
    derivative times ``sqrt(p / q)`` has the same mean square as with labels drawn from ``p``, of which hardly one in a
    thousand says something where the network is sure.
    """
    if aim.classes is None:
        return sheet.add("Mul", noise, sheet.constant(1 / scales[aim.tensor]))
    axes, p = [aim.classes], _softmax(sheet, aim)
    rest = sheet.add("Sub", sheet.constant(1.0), p)
    square = sheet.add("Mul", p, p)
    others = sheet.add("Sub", sheet.sum(square, axes, keep=True), square)
    length = sheet.add("Sqrt", sheet.total([sheet.add("Mul", rest, rest), others, sheet.constant(_LEAST)]))
    weight = sheet.add("Mul", sheet.add("Add", p, sheet.constant(_LEAST)), length)
    noisy = sheet.add("Add", sheet.add("Log", weight), noise)
    label = sheet.truth(sheet.add("Equal", noisy, sheet.add("ReduceMax", noisy, sheet.ints(axes), keepdims=1)))
    odds = sheet.add(
        "Div", sheet.sum(weight, axes, keep=True), sheet.sum(sheet.add("Mul", label, length), axes, keep=True)
    )
    return sheet.add(
        "Mul", sheet.add("Sub", label, p), sheet.add("Mul", sheet.add("Sqrt", odds), sheet.constant(1 / TEMPERATURE))
    )


def _softmax(sheet: Sheet, aim: Aim) -> str:
    assert aim.classes is not None
    return sheet.add("Softmax", sheet.add("Mul", aim.tensor, sheet.constant(1 / TEMPERATURE)), axis=aim.classes)
