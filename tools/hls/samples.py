"""The samples that types come from, and those that the emulator is measured on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...backends.hls.network import Floats, Network
from ...frontends.calibration import Data, calibration
from ...ir.errors import UsageError
from ...ir.feeds import Calibration, Feeds, batch_size, random_feeds
from ...ir.graph import Graph

CALIBRATION = 256
"""Samples that types come from, where no number is given."""

_BATCH = 64
_RANDOM = 64


@dataclass(frozen=True)
class Samples:
    """``used`` to calibrate with; ``measured``, which ``origin`` describes, to measure on."""

    used: Calibration
    measured: Calibration
    origin: str
    random: bool = False

    def batches(self, graph: Graph) -> Iterator[Feeds]:
        """Yield what is measured on, as the model takes it."""
        return self.measured.batches(batch_size(graph, _BATCH))


def read(
    graph: Graph, data: Data | None, count: int | None, labels: str | None, preprocess: str | None = None
) -> Samples | None:
    """Read samples, the first ``count`` (256) to calibrate with; None without data.

    Raises UsageError for wishes that need data, CalibrationError.
    """
    if data is None:
        if labels or count is not None:
            raise UsageError("samples and labels need data", hint="give --data")
        return None
    whole = calibration(data, graph, extra={labels} if labels else set(), preprocess=preprocess)
    used = whole.head(CALIBRATION if count is None else count)
    rest = whole.tail(used.samples)
    if rest.samples:
        return Samples(used, rest, f"{rest.samples} samples not used for calibration")
    return Samples(used, used, f"{used.samples} calibration samples")


def first(graph: Graph, network: Network, samples: Calibration, count: int) -> tuple[Feeds, Floats]:
    """Return the first samples as the model takes them, and as the network does."""
    parts = list(samples.head(count).batches(batch_size(graph, count)))
    feeds = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return feeds, network.samples(feeds)


def at_random(graph: Graph, seed: int) -> Samples:
    """Draw 64 samples."""
    rng = np.random.default_rng(seed)
    step = batch_size(graph, _RANDOM)
    drawn = [random_feeds(graph, rng, step) for _ in range(-(-_RANDOM // step))]
    used = Calibration.from_arrays({name: np.concatenate([part[name] for part in drawn]) for name in drawn[0]})
    return Samples(used, used, f"{used.samples} random inputs", random=True)
