"""What a compression did, as data: costs, latency, agreement, pins, passes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..ir.cost import Cost, cost
from ..ir.quantity import Quantity
from ..ir.sizes import Shape
from ..ir.timing import Interval, Latency
from ..passes.analysis.channels.groups import Channels
from ..passes.analysis.channels.labels import Pin
from ..passes.observers import Record
from .agreement import Agreement
from .layers import LayerLine
from .made import Made
from .measure import Fidelity

VERSION = 1
"""Of the JSON file; `schemas/report.json` describes it."""


@dataclass(frozen=True)
class PinLine:
    """A pin as a person reads it: ``tensors`` are where the kept channels are made, ``cost`` is that of making them."""

    pin: Pin
    tensors: tuple[str, ...]
    cost: Cost = Cost()

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        own = {"macs": self.cost.macs, "parameters": self.cost.parameters}
        return {**asdict(self.pin), "tensors": list(self.tensors), **own}


@dataclass(frozen=True)
class Aim:
    """Both models in the quantity that the target limits, in its unit.

    ``least`` and ``most``: the ends of the interval that the smaller model's figure is known to; ``predicted``: the
    share of the original's that was expected of it, where a device measures.
    """

    quantity: Quantity
    before: float
    after: float
    least: float
    most: float
    predicted: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        told = {name: getattr(self, name) for name in ("before", "after", "least", "most", "predicted")}
        return {"quantity": self.quantity.name, "unit": self.quantity.unit, **told}


@dataclass(frozen=True)
class Drop:
    """What may be lost, and what is: the share by ``name`` on the samples that chose the model, and on others."""

    name: str
    limit: float
    chosen: Interval
    chosen_on: str
    seen: Interval
    seen_on: str

    @property
    def on_others(self) -> str:
        """The loss on samples that did not choose."""
        return f"{_percent(self.seen)} on {self.seen_on}"

    @property
    def said(self) -> str:
        """Say in words what is known."""
        known = "within" if self.seen.within(self.limit) else "beyond" if self.seen.beyond(self.limit) else ""
        verdict = f"{known} the limit to 95 %" if known else "these alone do not tell whether that is within the limit"
        chosen = f"chosen to lose at most {self.limit:.4g} of {self.name}: {_percent(self.chosen)} on {self.chosen_on}"
        return f"{chosen}; {self.on_others}, which chose nothing: {verdict}"

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        parts = {"chosen": (self.chosen, self.chosen_on), "others": (self.seen, self.seen_on)}
        told = {
            key: {"lost": found.middle, "least": found.low, "most": found.high, "measured_on": on}
            for key, (found, on) in parts.items()
        }
        return {"of": self.name, "limit": self.limit, **told}


def _percent(found: Interval) -> str:
    return f"{100 * found.middle:.2f} % ({100 * found.low:.2f} to {100 * found.high:.2f} %)"


@dataclass(frozen=True)
class Stage:
    """What one way to the result, by its ``name``, leaves: the bytes of the file, and how closely it follows."""

    name: str
    bytes: int
    fidelity: Fidelity

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        told = {name: _output(self.fidelity, found) for name, found in self.fidelity.told.items()}
        return {"name": self.name, "bytes": self.bytes, "outputs": told}


@dataclass(frozen=True)
class Report:
    """Before and after. ``calibration`` is how many samples were used, 0 in data-free mode; ``input_shapes``: at which
    all is counted; ``notes`` say so where nobody gave them. ``stages``: what pruning and quantising do, where both were
    asked for; ``drop``: what is lost, where that had a limit; ``layers``: every layer before and after; ``made``: what
    a replay needs.
    """

    target: str
    aim: Aim
    before: Cost
    after: Cost
    fidelity: Fidelity
    latency: Latency
    calibration: int
    seed: int
    pins: tuple[PinLine, ...]
    records: tuple[Record, ...]
    input_shapes: dict[str, Shape]
    notes: tuple[str, ...]
    stages: tuple[Stage, ...] = ()
    drop: Drop | None = None
    layers: tuple[LayerLine, ...] = ()
    made: Made | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON file."""
        fidelity = self.fidelity
        return {
            "version": VERSION,
            "target": self.target,
            "aim": self.aim.to_json(),
            "input_shapes": {name: list(shape) for name, shape in self.input_shapes.items()},
            "notes": list(self.notes),
            "before": asdict(self.before),
            "after": asdict(self.after),
            "agreement": {
                "measured_on": fidelity.samples.origin,
                "held_out": fidelity.samples.held_out,
                "outputs": {name: _output(fidelity, found) for name, found in fidelity.told.items()},
            },
            "metric": {name: {"before": was, "after": now} for name, (was, now) in fidelity.metric.items()},
            "latency": self.latency.to_json(),
            "calibration_samples": self.calibration,
            "data_free": self.calibration == 0,
            "seed": self.seed,
            "pins": [line.to_json() for line in self.pins],
            "stages": [stage.to_json() for stage in self.stages],
            "drop": None if self.drop is None else self.drop.to_json(),
            "passes": [asdict(record) for record in self.records],
            "layers": [line.to_json() for line in self.layers],
            "made": None if self.made is None else self.made.to_json(),
        }


def _output(fidelity: Fidelity, found: Agreement) -> dict[str, Any]:
    """Return what is known of one output; the interval is of samples like those that judged, so of held-out ones."""
    return {
        "samples": found.samples,
        "relative_error": found.error,
        "same_largest": found.same,
        "same_largest_interval": found.interval if fidelity.samples.held_out else None,
        "parts": {name: part.error for name, part in found.parts.items()},
        "decided_by": found.reading.decided or None,
    }


def pin_lines(channels: Channels, costs: Mapping[str, Cost] | None = None) -> tuple[PinLine, ...]:
    """Gather equal pins of several tensors in one line each, in order; ``costs`` by node name."""
    known = cost(channels.context.graph) if costs is None else costs
    makers = {tensor.name: node.name for node in channels.context.graph.nodes for tensor in node.outputs}
    found: dict[Pin, list[str]] = {}
    for tensor, pin in channels.pins:
        found.setdefault(pin, []).append(tensor)
    lines = []
    for pin, tensors in found.items():
        made = dict.fromkeys(makers[tensor] for tensor in tensors if tensor in makers)
        own = sum((known[name] for name in made if name in known), Cost())
        lines.append(PinLine(pin, tuple(dict.fromkeys(tensors)), own))
    return tuple(lines)


def notes(records: Iterable[Record]) -> list[str]:
    """Return what the passes said, one line a pass."""
    return [f"{record.name}: {'; '.join(record.notes)}" for record in records if record.notes]
