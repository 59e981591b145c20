"""A network measured as hardware: its words compared, its clocks counted, its links made no deeper than they need."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....ir.errors import VerificationError
from ....ir.scratch import scratch
from ..cost.tradeoff import speed
from ..network import Floats, Network
from ..precision import Precision
from .design import Design, build
from .links import roomy
from .simulate import Simulation, simulate
from .synthesise import Synthesis, synthesise


@dataclass(frozen=True)
class Measurement:
    """``latency`` and ``interval`` in clocks; ``depths``: the words that each link stores, by its name; ``area`` of the
    design with these depths, None where it was not asked for.
    """

    latency: int
    interval: int
    depths: Mapping[str, int]
    area: Synthesis | None


def measure(
    network: Network,
    precision: Precision,
    feeds: Mapping[str, Floats],
    expected: Mapping[str, Floats],
    folder: Path | None = None,
    area: bool = True,
    limit: float = 3600.0,
) -> Measurement:
    """Make hardware of a network, run images through it at its slowest layer's pace, fit its links to what they stored,
    and run images back to back.

    ``feeds`` by input and ``expected`` by output, (n, H, W, C) or (n, N), on their grids, n >= 2. ``folder`` keeps the
    design. ``limit``: seconds for each tool. Raises LoweringError where no hardware can be made or a tool is missing or
    fails, VerificationError where a word differs.
    """
    with scratch() as temporary:
        place = folder or temporary
        wide = build(network, precision, place, roomy(network, precision))
        paced = simulate(wide, feeds, limit=limit, pace=speed(network, {}).interval)
        depths = {name: peak + 1 for name, peak in paced.peaks.items()}
        design = build(network, precision, place, depths)
        found = _checked(design, feeds, expected, limit)
        return Measurement(found.latency, found.interval, depths, synthesise(design, limit) if area else None)


def _checked(design: Design, feeds: Mapping[str, Floats], expected: Mapping[str, Floats], limit: float) -> Simulation:
    found = simulate(design, feeds, limit=limit)
    for name, values in found.outputs.items():
        differing = int(np.count_nonzero(values != expected[name]))
        if differing:
            why = f"{differing} of {values.size} numbers of '{name}' differ"
            raise VerificationError("the hardware does not give what was expected", why=why)
    return found
