"""What ``init`` proposes: the command for a model and its samples, and why each of its options."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ..backends.ort import OrtRunner
from ..frontends.calibration import calibration
from ..frontends.data import labels as lying
from ..frontends.data.form import Form
from ..frontends.scripts import is_script
from ..ir.cost import total
from ..ir.errors import CalibrationError
from ..ir.feeds import Calibration
from ..ir.graph import Graph
from . import api
from .deciding import advice
from .doubts import told

PROGRAM = "optimise-onnx"
_LOOKED_AT, _ENOUGH, _FEW = 640, 512, 64  # samples: read at most, told to take where there are more, too few to trust
_TRIED = "imagenet"
_TELLING = 0.01  # nats: ways to prepare images that are as near as this cannot be told apart
_SHARES = {True: 0.5, False: 0.8}  # of the MACs, with samples and without


class Option(NamedTuple):
    """Words of a command, and why they are there."""

    words: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Proposal:
    """A command, and what a person should know before it runs."""

    command: str
    source: Path
    options: tuple[Option, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """The command as a list of words."""
        return [PROGRAM, self.command, str(self.source), *(word for each in self.options for word in each.words)]

    def __str__(self) -> str:
        """Write the command for a shell."""
        return shlex.join(self.words)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for a JSON file."""
        options = [{"option": shlex.join(each.words), "why": each.why} for each in self.options]
        return {"command": self.words, "options": options, "notes": list(self.notes)}


def propose(source: Path, data: str | None = None, trust: bool = False) -> Proposal:
    """Look at a model and its samples, those beside it where none are given, and propose a command.

    Raises InvalidModelError, and CalibrationError for samples that are given and do not suit.
    """
    graph = api.load(source, trust=trust)
    found = api.analyse(graph)
    whole, free, branches = total(found.costs).macs, found.free.macs, advice(found.graph, source)
    if not free:
        return Proposal(
            "analyse", source, notes=("no channel of a layer that multiplies can go; analyse says why", *branches)
        )
    samples = _Samples.found(source, graph) if data is None else _Samples.read(data, graph)
    told_of, notes = ((), _without(found.notes)) if samples is None else (tuple(samples.options(graph)), samples.notes)
    output = source.with_name(f"{source.stem}-smaller.onnx").name
    options = (
        Option(("-o", output), "where the new model goes; the old one stays as it is"),
        _target(free / whole, samples is not None),
        *told_of,
        *([Option(("--trust",), "as you gave it here")] if trust else []),
        Option(("--report", f"{Path(output).stem}.html"), "a page that shows what was done and what it cost"),
    )
    return Proposal("compress", source, options, (*notes, *branches))


def _target(free: float, data: bool) -> Option:
    """Ask for a share of the MACs that can be reached: no more than half of what can go."""
    share = max(_SHARES[data], round(1 - free / 2, 2))
    why = f"layers that can lose channels hold {free:.0%} of the multiplications"
    mild = "" if data else "; without samples only mild targets keep a model good"
    return Option(("--target", f"macs={share:g}x"), why + mild)


def _without(notes: tuple[str, ...]) -> tuple[str, ...]:
    return ("no samples: give a file or a folder of them, a few hundred without labels will do (docs/data.md)", *notes)


@dataclass(frozen=True)
class _Samples:
    """Samples that suit the model. ``given``: as ``--data`` names them; ``others``: what would have suited too."""

    given: str
    data: Calibration
    labels: str | None = None
    preprocess: bool = False
    others: tuple[str, ...] = ()

    @staticmethod
    def read(given: str, graph: Graph) -> _Samples:
        """Read the first samples. Raises CalibrationError."""
        path, images = Path(given), False
        labels = None
        if not is_script(given) and path.exists():
            classes = _classes(graph)
            labels = lying.labels(path, Form.of(graph, frozenset()), classes) if _may_classify(graph) else None
            images = lying.is_images(path)
        extra = {labels} if labels else set()
        how = _TRIED if images else None
        data = calibration(given, graph, samples=_LOOKED_AT, extra=extra, preprocess=how)
        return _Samples(given, data, labels, images)

    @staticmethod
    def found(model: Path, graph: Graph) -> _Samples | None:
        """Return what suits among what lies beside the model, the first by name."""
        suited = list(_readable(model, graph))
        if not suited:
            return None
        first, *others = suited
        return _Samples(first.given, first.data, first.labels, first.preprocess, tuple(each.given for each in others))

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the samples, and what a person should know of them."""
        few = f"{self.data.samples} samples are few: a few hundred tell more" if self.data.samples < _FEW else ""
        others = f"other data suit too: {', '.join(self.others)}" if self.others else ""
        return (*self.data.notes, *filter(None, (few, others)))

    def options(self, graph: Graph) -> Iterator[Option]:
        """Yield the options that name them."""
        count = self.data.samples
        more = "or more " if count >= _LOOKED_AT else ""
        yield Option(("--data", self.given), f"{count} {more}samples that suit the model's inputs")
        if self.preprocess:
            yield _preprocessing(graph, self.data)
        if self.labels:
            yield Option(("--labels", self.labels), "labels lie with the samples, so the table can show accuracy")
        if count >= _LOOKED_AT:
            yield Option(("--samples", str(_ENOUGH)), "as many are enough to choose by; those after them judge")


def _readable(model: Path, graph: Graph) -> Iterator[_Samples]:
    for path in lying.beside(model):
        given = path if model.is_absolute() else model.parent / path.name
        try:
            yield _Samples.read(str(given), graph)
        except CalibrationError:
            continue


def _preprocessing(graph: Graph, data: Calibration) -> Option:
    """Choose the preset by which a classifier's outputs tell most of the images."""
    found = told(graph, OrtRunner(), data)
    if found is None:
        why = "a guess, for no output (samples, classes) of enough images tells: write that of the training"
        return Option(("--preprocess", _TRIED), why)
    now, _, others = found
    nats = {_TRIED: now, **others}
    best, second = sorted(nats, key=nats.__getitem__, reverse=True)[:2]
    if nats[best] - nats[second] < _TELLING:
        why = (
            f"a guess, for outputs tell {nats[best]:.2f} nats of the images in several ways: write that of the training"
        )
        return Option(("--preprocess", _TRIED), why)
    why = f"outputs tell {nats[best]:.2f} nats of the images so, {nats[second]:.2f} by {second}"
    return Option(("--preprocess", best), f"{why}; that of the training is right")


def _may_classify(graph: Graph) -> bool:
    """Whether an output may be (samples, classes)."""
    return any(tensor.shape is None or len(tensor.shape) == 2 for tensor in graph.outputs)


def _classes(graph: Graph) -> int | None:
    """Return how many classes the first output (samples, classes) tells apart."""
    for tensor in graph.outputs:
        if tensor.shape is not None and len(tensor.shape) == 2 and isinstance(tensor.shape[1], int):
            return tensor.shape[1]
    return None
