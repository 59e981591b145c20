"""What proves a project: bits against the C simulation, numbers against onnxruntime, every layer against itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...backends.hls import project as projects
from ...backends.hls import qonnx, reference
from ...backends.hls.emulator import Emulator
from ...backends.hls.network import Activation, Floats, Network
from ...backends.hls.precision import Precision
from ...backends.hls.tables import TABLES
from ...ir.errors import VerificationError
from ...ir.feeds import Feeds, batch_size
from ...ir.graph import Array, Graph
from ...ir.runner import Runner, Session
from .. import api
from ..measure import accuracy
from .samples import Samples

LOWERED_TOLERANCE = 1e-3
"""Of the largest result: how far the lowered network may be from onnxruntime, both in floating point."""

Run = Callable[[Feeds], dict[str, Array]]
"""Returns a model's results, by output, for what is fed to it."""

_PASSED_ON = ("Dropout", "Identity", "LogSoftmax", "Softmax")


@dataclass
class Difference:
    """One output against onnxruntime's. ``rms_error`` over ``rms`` is the relative error; ``same_class``: the share of
    samples whose largest entry stays, None for an output that is no row of scores.
    """

    max_error: float = 0.0
    same_class: float | None = None
    _square: float = field(default=0.0, repr=False)
    _power: float = field(default=0.0, repr=False)
    _count: int = field(default=0, repr=False)
    _hits: int = field(default=0, repr=False)
    _samples: int = field(default=0, repr=False)

    def update(self, wanted: Array, given: Floats) -> None:
        """Add a batch, samples first."""
        error = given - wanted
        self.max_error = max(self.max_error, float(np.abs(error).max()))
        self._square += float(np.sum(error**2))
        self._power += float(np.sum(np.asarray(wanted, np.float64) ** 2))
        self._count += error.size
        if wanted.ndim == 2 and wanted.shape[1] > 1:
            self._hits += int((given.argmax(1) == wanted.argmax(1)).sum())
            self._samples += len(wanted)
            self.same_class = self._hits / self._samples

    @property
    def rms_error(self) -> float:
        """Return the root of the mean square of the difference."""
        return float(np.sqrt(self._square / max(self._count, 1)))

    @property
    def relative_error(self) -> float:
        """Return the RMS of the difference by that of onnxruntime's results."""
        return float(np.sqrt(self._square / self._power)) if self._power else self.rms_error

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "max_error": self.max_error,
            "rms_error": self.rms_error,
            "relative_rms_error": self.relative_error,
            "top_class_agreement": self.same_class,
        }


@dataclass(frozen=True)
class Measured:
    """The emulator against onnxruntime by output; ``accuracy``: of onnxruntime and of the emulator, with labels."""

    samples: int
    outputs: Mapping[str, Difference]
    accuracy: tuple[float, float] | None


@dataclass(frozen=True)
class Traced:
    """A layer over the traced samples: the range and error of its fixed-point values, and what left their type.

    ``error``: the RMS of the difference from floating point over the RMS there.
    """

    low: float
    high: float
    error: float
    saturated: int
    values: int

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def scores(graph: Graph, runner: Runner) -> Run:
    """Return a function that runs the model without a softmax at its end: its results by output name."""
    names: list[str] = []
    for tensor in graph.outputs:
        while tensor.producer is not None and tensor.producer.op in _PASSED_ON:
            tensor = tensor.producer.inputs[0]
        names.append(tensor.name)
    session: Session = runner.session(graph, outputs=names)
    outputs = [tensor.name for tensor in graph.outputs]

    def run(feeds: Feeds) -> dict[str, Array]:
        found = session.run(feeds)
        return {name: found[inner] for name, inner in zip(outputs, names, strict=True)}

    return run


def check_lowered(graph: Graph, network: Network, feeds: Feeds, model: Run) -> float:
    """Return how far the lowered network is from onnxruntime, of the largest result, in floating point.

    Raises VerificationError where that is over 1e-3: our bug.
    """
    step = batch_size(graph, len(next(iter(feeds.values()))))
    one = {name: array[:step] for name, array in feeds.items()}
    wanted, worst = model(one), 0.0
    for name, values in reference.run_tensors(network, one).items():
        largest = float(np.abs(wanted[name]).max()) or 1.0
        worst = max(worst, float(np.abs(values - wanted[name]).max()) / largest)
    if not worst <= LOWERED_TOLERANCE:
        why = f"they differ by {worst:.2g} of the largest result"
        raise VerificationError("the lowered network does not compute what the model does", why=why)
    return worst


def check_bits(precision: Precision, emulated: Mapping[str, Floats], simulated: Mapping[str, Floats]) -> None:
    """Raise VerificationError where the C simulation differs from the emulator in any bit of any output."""
    for name, values in emulated.items():
        differing = int(np.count_nonzero(values != simulated[name]))
        if differing:
            steps = float(np.abs(values - simulated[name]).max()) / precision[name].result.step
            why = f"{differing} of {values.size} results of '{name}' differ, by up to {steps:g} LSB"
            raise VerificationError("the C simulation does not give the emulator's bits", why=why)


def check_qonnx(
    file: Path, network: Network, precision: Precision, given: Floats, emulated: Mapping[str, Floats], runner: Runner
) -> float:
    """Return by how many steps of their types the results of the QONNX model in ``file`` are off the emulator's.

    ``given`` (n, H, W, C) or (n, N): 0 but where sums have more than 24 bits, or tables are looked up.
    """
    session = runner.session(api.load(file))
    held = network.apart(projects.held_samples(network, precision, given))
    fed = {qonnx.port(layer): qonnx.channels_first(held[layer.name]).astype(np.float32) for layer in network.inputs}
    worst = 0.0
    for index in range(len(given)):
        found = session.run({name: values[index : index + 1] for name, values in fed.items()})
        for name, port in zip(network.outputs, network.ports, strict=True):
            wanted = qonnx.channels_first(emulated[name][index : index + 1])
            worst = max(worst, float(np.abs(found[port.tensor] - wanted).max()) / precision[name].result.step)
    return worst


def measure(
    graph: Graph,
    emulator: Emulator,
    network: Network,
    samples: Samples,
    model: Run,
    labels: str | None,
    progress: Callable[[float], None],
) -> Measured:
    """Run all samples through onnxruntime and the emulator."""
    found: dict[str, Difference] = {tensor.name: Difference() for tensor in graph.outputs}
    metric, hits, count = accuracy(labels) if labels else None, np.zeros(2), 0
    for batch in samples.batches(graph):
        values = emulator.run(network.samples(batch))
        given = {to.tensor: to.to_tensor(values[name]) for name, to in zip(network.outputs, network.ports, strict=True)}
        wanted = model(batch)
        for name, difference in found.items():
            difference.update(wanted[name], given[name])
        size = len(next(iter(batch.values())))
        count += size
        if metric is not None:
            hits += [size * metric(wanted, batch), size * metric(given, batch)]
        progress(count / samples.measured.samples)
    rates = (hits / count).tolist()
    return Measured(count, found, (rates[0], rates[1]) if labels else None)


def beyond_tables(network: Network, traced: Mapping[str, Traced]) -> list[str]:
    """List the layers whose curve goes on rising beyond the table that it is looked up in, where values go too."""
    rising = [each for each in network.layers if isinstance(each, Activation) and each.kind in ("softplus", "softsign")]
    return [each.name for each in rising if traced[each.inputs[0]].high > TABLES[each.kind] / 2]


def trace(network: Network, on_grid: Network, precision: Precision, given: Floats) -> dict[str, Traced]:
    """Compare each layer's fixed-point values with floating point, over samples (n, H, W, C) or (n, N)."""
    exact, emulator = reference.run(network, given), Emulator(on_grid, precision)
    values, saturated = emulator.trace(given), emulator.saturations(given)
    return {
        name: Traced(
            low=float(found.min()),
            high=float(found.max()),
            error=float(np.linalg.norm(found - exact[name]) / (np.linalg.norm(exact[name]) or 1.0)),
            saturated=saturated[name],
            values=found.size,
        )
        for name, found in values.items()
    }
