"""What a person should know before trusting the figures of a report."""

from __future__ import annotations

from collections.abc import Iterable

from ..ir.feeds import Calibration
from ..ir.graph import Graph
from ..passes.analysis.layers.linear import is_stored
from ..passes.observers import Record
from ..passes.reconstruct.tune import Tune
from .agreement import Agreement
from .measure import Fidelity

_FEW = 32
_NAMED = 10  # classes: a few numbers in a row are hardly anything else
_MANY = 100  # classes, of which samples may show too few to judge them all
_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_QUANTISED = ("ConvInteger", "MatMulInteger", "QGemm", "QLinearConv", "QLinearMatMul")


def caveats(fidelity: Fidelity, calibration: Calibration | None) -> tuple[str, ...]:
    """Say what the agreement does not tell: how far it may be off, what was not compared."""
    found = []
    if not fidelity.samples.judges:
        count = calibration.samples if calibration is not None else 0
        found.append(
            f"warning: all samples ({count}) were fitted and none is left to judge by, so how closely the result "
            "follows is not known; give more samples"
        )
    found += [
        f"warning: only {_said(one.samples)} '{name}': its agreement may be "
        f"{100 * one.interval[0]:.0f} to {100 * one.interval[1]:.0f} % on others; give more samples"
        for name, one in fidelity.outputs.items()
        if fidelity.samples.held_out and one.samples < _FEW and one.interval is not None
    ]
    found += [
        f"of {one.classes:,} classes of '{name}' the samples that judge it show {one.shown:,}: how closely the others "
        "are followed is not known; give samples that show more of them"
        for name, one in fidelity.told.items()
        if fidelity.samples.held_out and _hardly_shown(one)
    ]
    found += [
        f"'{name}' was not compared: {one.reading.decided} decides its shape, and what it decides from was rewritten"
        for name, one in fidelity.outputs.items()
        if one.error is None and one.reading.decided
    ]
    return tuple(found)


def _hardly_shown(one: Agreement) -> bool:
    """Whether samples show less than half of many classes, or a single one."""
    return (one.classes >= _MANY and 2 * one.shown < one.classes) or (
        1 < one.classes <= _NAMED and one.shown == 1 < one.samples
    )


def _said(samples: int) -> str:
    return "1 sample judges" if samples == 1 else f"{samples} samples judge"


def tuned(records: Iterable[Record]) -> tuple[str, ...]:
    """Say what tuning has brought, where it was asked for."""
    return tuple(note for record in records if record.name == Tune.name for note in record.notes)


def unrepaired(graph: Graph) -> tuple[str, ...]:
    """Say how many quantised layers are not solved again after channels have gone, for their codes stay as they are."""
    count = sum(node.op in _QUANTISED for node in graph.nodes)
    for node in graph.nodes:
        made = node.inputs[1].producer if node.op in _LAYERS and len(node.inputs) > 1 else None
        count += made is not None and made.op == "DequantizeLinear" and not is_stored(node.inputs[1])
    return (f"{count} layers are quantised in a way that is not repaired after channels have gone",) if count else ()
