"""What a user asks for. Every option stands here once: its default, its help, and how the command spells it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

from ..ir.errors import UsageError
from ..ir.quantity import LATENCY

if TYPE_CHECKING:
    from ..passes.analysis.costs.target import Target
    from .sizing import InputShapes
    from .tape import Tape

AUTO = "auto"
NO_CACHE = " /--no-cache"
INT8 = "int8"
_ALL_MACS = "macs=1x"
_SHARE = re.compile(r"\s*(?P<number>\d*\.?\d+)\s*(?P<percent>%?)\s*")
ONNXRUNTIME, TORCH = "onnxruntime", "torch"
TRUST = "Read a model's file that can run code of its own, such as a pickled one: only if you made it."
Kind = TypeVar("Kind", bound="Running")


def option(default: Any, about: str, *flags: str, metavar: str | None = None, **more: Any) -> Any:
    """Declare an option: ``flags`` where the command spells it otherwise than its name; further ``least``, the least
    number, and ``several``, for one that may be given again and again.
    """
    return field(default=default, metadata={"about": about, "flags": flags, "metavar": metavar, **more})


@dataclass(frozen=True, kw_only=True)
class Running:
    """How passes run, whichever they are. ``tape``: where the answers of devices are kept, or come from."""

    seed: int = option(0, "Seed of all randomness.", metavar="S", least=0)
    threads: int = option(0, "Threads that latency is measured on; 0 leaves onnxruntime the choice.", least=0)
    batch: int = option(1, "Samples a run that latency is measured on.", least=1)
    device: str = option(
        "local", "Where latency counts: local, or a device that another package offers.", metavar="NAME[:OPTIONS]"
    )
    latency_command: str | None = option(
        None, "Ask CMD, which prints milliseconds, how long a model takes elsewhere.", metavar="'CMD {model}'"
    )
    cache: bool = option(True, "Keep no measurements for other targets of the same model and data.", NO_CACHE)
    cache_folder: str | None = option(
        None, "Keep measurements in DIR; `cache info` names the usual place.", "--cache", metavar="DIR"
    )
    cache_limit: str | None = option(
        None, "Most that is kept: beyond, what was not used for longest goes; 2 GiB by default.", metavar="2GB"
    )
    jobs: int = option(1, "Processes that carry out targets and take statistics.", metavar="N", least=1)
    scheduler: str | None = option(
        None, "Have workers of a Dask cluster do that: the address of its scheduler.", metavar="tcp://HOST:PORT"
    )
    input_shapes: InputShapes | None = option(
        None,
        "Sizes of an input that the model leaves open (repeatable).",
        "--input-shape",
        metavar="NAME:D0,D1,...",
        several=True,
    )
    preprocess: str | None = option(
        None,
        "How pixels of a folder of images become numbers: imagenet, 0-1, -1-1, raw, or mean=…,std=…,size=…,crop=….",
        metavar="P",
    )
    inputs: Sequence[str] = option(
        (),
        "How samples lie along an input: not at all, along another axis, or as a state that starts at 0 (repeatable).",
        "--input",
        metavar="NAME=constant|batch:1|state",
        several=True,
    )
    trust: bool = option(False, TRUST, "--trust")
    fit_samples: int | None = option(
        None,
        "Take statistics and solve layers on the first N of the samples only; --tune goes over all.",
        metavar="N",
        least=1,
    )
    tune_on: str = option(
        ONNXRUNTIME, f"What computes gradients: {ONNXRUNTIME}, or {TORCH} on a GPU where there is one.", metavar="NAME"
    )
    provenance: bool = option(True, "Note at every node of the result which channels of the original are left.")
    tape: Tape | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls: type[Kind], **options: Any) -> Kind:
        """Check and gather options. Raises UsageError for one that is not known, or a wrong value."""
        known = {f.name for f in fields(cls)}
        for name in options.keys() - known:
            raise UsageError(f"there is no option '{name}'", hint=f"one of {', '.join(sorted(known))}")
        given = cls(**options)
        given.check()
        return given

    def check(self) -> None:
        """Raise UsageError for a wrong value."""
        for each in fields(self):
            value, least = getattr(self, each.name), each.metadata.get("least")
            if least is not None and value is not None and value < least:
                raise UsageError(f"{each.name}={value} is below {least:g}")
        from ..backends.devices import DEVICES, LOCAL
        from ..backends.latency.command import Command
        from ..ir.memory import amount

        if self.tune_on not in (ONNXRUNTIME, TORCH):
            raise UsageError(f"'{self.tune_on}' computes no gradients", hint=f"{ONNXRUNTIME} or {TORCH}")
        if self.scheduler is not None and self.jobs > 1:
            raise UsageError("jobs and scheduler both say where work is done", hint="give one of them")
        if self.cache_limit is not None:
            amount(self.cache_limit)
        DEVICES.find(self.device.partition(":")[0])
        if self.latency_command is not None:
            Command(self.latency_command)
            if self.device != LOCAL:
                raise UsageError("device and latency_command both say where latency counts", hint="give one of them")

    @property
    def place(self) -> str:
        """The device where latency counts, as :func:`optimise_onnx.backends.devices.device` reads it."""
        return self.device if self.latency_command is None else f"command:{self.latency_command}"

    @property
    def here(self) -> bool:
        """Whether latency counts on this machine."""
        return self.place == "local"


@dataclass(frozen=True, kw_only=True)
class Settings(Running):
    """What is asked of a compression. An option that a pass has too goes to that pass under the same name."""

    target: Target
    max_drop: str | None = option(
        None,
        "Find the least cost that loses at most this share, by the metric or by agreement with the original; "
        "--target then says what counts, and how much of it at most.",
        metavar="1%",
    )
    recipe: str | None = option(None, "Follow a paper's procedure, as `recipes` lists them.", metavar="NAME")
    criterion: str | None = option(None, "How channels are ranked: obs with data and flow without.", metavar="NAME")
    keep_nodes: Sequence[str] = option(
        (),
        "Keep all channels of these nodes or tensors (repeatable).",
        "--keep-nodes",
        "--keep",
        metavar="REGEX",
        several=True,
    )
    keep_types: Sequence[str] = option(
        (), "Keep channels of this operator (repeatable).", "--keep-types", "--keep-type", metavar="OP", several=True
    )
    allocation: str | None = option(
        None,
        "Who loses how much: global by measured error, gates, greedy by score, policy, uniform, ucp, or bisect.",
        metavar="NAME",
    )
    per: str | None = option(
        None, "What greedy divides scores by: activations, macs, latency and so on, or none.", metavar="NAME"
    )
    step: float | None = option(
        None, "Choose anew after every such share of the original that has gone; 0: all at once.", metavar="S", least=0
    )
    granularity: str = option(
        "unit", "Grouped convolutions lose channels of every group (unit), or whole groups (group).", metavar="NAME"
    )
    exact_norms: bool = option(
        False, "Let norms compute the statistics of all channels, also of those gone: slower.", "--exact-norms"
    )
    sampler: bool = option(False, "Let layers read a part of a shared stream: fewer MACs, some copying.", "--sampler")
    forms: Sequence[str] = option(
        (), "Let layers become stretch, low-rank, strided, grouped, or all (repeatable).", metavar="NAME", several=True
    )
    tune: str | None = option(
        None,
        "After all, tune weights by gradients on the samples: none, scales, or full; left out, as the recipe does.",
        metavar="NAME",
    )
    tune_budget: str | None = option(None, "How long to tune: 640steps, or 5min.", metavar="N")
    augment: Sequence[str] = option(
        (), "Change images while tuning: flip, or crop4 for up to 4 pixels (repeatable).", metavar="NAME", several=True
    )
    quantise: str | None = option(
        None, "Quantise the result on the same samples, and report what each step does: int8.", metavar="int8"
    )
    max_ratio: float | None = option(None, "Remove at most this share of a group.", metavar="R", least=0)
    align: int = option(
        0, "Keep widths multiples of N, or of what makes convolutions faster here.", metavar=f"N|{AUTO}", least=0
    )
    guard: bool = option(True, "Refuse a model slower than the original.")
    allow_partial: bool = option(
        False, "Where the target is missed, write the best found (exit code 4 still).", "--allow-partial"
    )
    strict: bool = option(False, "Refuse operators without a rule (exit code 6).", "--strict")

    @classmethod
    def parse(cls, target: str | Target | None = None, **options: Any) -> Settings:
        """Do what :meth:`of` does, with a target as text; None where only a loss is limited: then MACs count."""
        from ..passes.analysis.costs.target import Target

        if target is None and not options.get("max_drop"):
            raise UsageError("nothing is aimed at", hint="give --target macs=0.5x, or --max-drop 1%")
        target = _ALL_MACS if target is None else target
        return cls.of(target=target if isinstance(target, Target) else Target.parse(target), **options)

    def check(self) -> None:
        """Raise UsageError for a wrong value."""
        super().check()
        if self.max_ratio is not None and not self.max_ratio <= 1:
            raise UsageError(f"max_ratio={self.max_ratio} is no share between 0 and 1")
        if self.max_drop is not None:
            allowed(self.max_drop)
        from ..passes.decompose.families import chosen
        from ..passes.reconstruct.tune import FULL, NONE, SCALES, Tune
        from ..passes.search.meet_target import check_step
        from ..passes.select.bind_groups import GROUP, UNIT

        if self.quantise not in (None, INT8):
            raise UsageError(f"quantise='{self.quantise}' is unknown", hint=INT8)
        chosen(self.forms)
        check_step(self.step or 0)
        if self.granularity not in (UNIT, GROUP):
            raise UsageError(f"granularity='{self.granularity}' is unknown", hint=f"{UNIT} or {GROUP}")
        if self.tuned not in (NONE, FULL, SCALES):
            raise UsageError(f"tune='{self.tune}' is unknown", hint=f"{NONE}, {FULL} or {SCALES}")
        if self.per and self.allocated != "greedy":
            raise UsageError("per says what greedy allocation divides scores by", hint="give allocation=greedy too")
        if self.tuned != NONE:
            Tune(**{name: value for name, value in self._tuning().items() if value}).check()
        elif self.tune_budget or self.augment:
            raise UsageError("tune_budget and augment say how weights are tuned", hint="give tune=full too")

    @property
    def tuned(self) -> str:
        """Which weights are tuned in the end: those asked for, else those that the recipe tunes."""
        from .recipes import tuned

        return tuned(self.recipe) if self.tune is None else self.tune

    @property
    def allocated(self) -> str:
        """By which method: the one asked for, else the recipe's."""
        from .recipes import allocation

        return self.allocation or allocation(self.recipe)

    def _tuning(self) -> dict[str, Any]:
        """Return the options of the pass that tunes."""
        return {"weights": self.tuned, "budget": self.tune_budget, "augment": tuple(self.augment)}

    def asked(self) -> dict[str, Any]:
        """Return what passes are told, by the names of their options; what is left to a pass is left out."""
        told = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in Running.__dataclass_fields__}
        told |= {
            "target": str(self.target),
            "keep_nodes": "|".join(f"(?:{pattern})" for pattern in self.keep_nodes),
            "keep_types": "|".join(self.keep_types),
            "forms": tuple(self.forms),
            "multiple": self.align if self.target.meter is not None or self.target.quantity == LATENCY else 1,
            "only_faster": self.target.quantity == LATENCY and self.here,
            **self._tuning(),
        }
        return {name: value for name, value in told.items() if value not in (None, "", ())}


def allowed(text: str) -> float:
    """Read a share, ``1%`` or ``0.01``. Raises UsageError."""
    match = _SHARE.fullmatch(text)
    share = float(match["number"]) / (100 if match["percent"] else 1) if match else 0.0
    if not 0 < share < 1:
        raise UsageError(f"max_drop='{text}' is no share between 0 and 1", hint="write 1% or 0.01")
    return share


def documented(kind: type[Running]) -> str:
    """List options as text for a docstring, a line each, with their defaults."""
    lines = []
    for each in fields(kind):
        if "about" not in each.metadata:
            continue
        default = "" if each.default is MISSING else f" (default {each.default!r})"
        lines.append(f"    {each.name}: {each.metadata['about']}{default}")
    return "\n".join(lines)
