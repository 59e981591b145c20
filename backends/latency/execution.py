"""What a prediction is for: onnxruntime's provider, threads and batch on this machine."""

import hashlib
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ...ir.feeds import random_feeds
from ...ir.graph import Graph
from ..ort.environment import onnxruntime
from ..ort.sessions import OrtRunner
from ..ort.stopwatch import quantiles

_FLAGS = ("asimd", "avx", "avx2", "fma", "sse4_1", "sve")
_SECONDS = 0.25  # a network
_FAMILIES = ("amx", "avx512", "avx_vnni", "sve", "i8mm", "bf16")


@dataclass(frozen=True)
class Execution:
    """``threads`` is the number of intra-op threads; ``batch`` what a symbolic first dimension becomes."""

    threads: int = 1
    batch: int = 1
    provider: str = "CPUExecutionProvider"

    def runner(self, record: Path | None = None) -> OrtRunner:
        """Return what makes sessions: idle threads wait busily within a run, as where nothing else is set."""
        return OrtRunner(self.threads, True, record, self.provider)

    def identity(self) -> dict[str, str]:
        """Return everything that measured times depend on besides what is measured."""
        fields = {name: str(value) for name, value in asdict(self).items()}
        return machine() | {"onnxruntime": onnxruntime.__version__} | fields


def interleaved(
    graphs: Sequence[Graph], target: Execution, budget: float = _SECONDS, quantile: float = 0.5
) -> list[float]:
    """Return a quantile of each graph's seconds on random inputs, in turns for about ``budget`` seconds each.

    Raises InvalidModelError when onnxruntime refuses one.
    """
    rng = np.random.default_rng(0)
    feeds = [random_feeds(graph, rng, target.batch) for graph in graphs]
    sessions = [target.runner().deployed(graph) for graph in graphs]
    for session, given in zip(sessions, feeds, strict=True):
        session.run(given)  # a refusal shows here
    runs = [partial(session.inner.run, None, given) for session, given in zip(sessions, feeds, strict=True)]
    return quantiles(runs, budget, quantile, target.runner().busy)


def machine() -> dict[str, str]:
    """Name the processor, the instruction sets that kernels are chosen by, and the number of cores."""
    lines = _cpuinfo()
    flags = set((lines.get("flags") or lines.get("Features") or "").split())
    matter = sorted(flag for flag in flags if flag in _FLAGS or flag.startswith(_FAMILIES))
    name = lines.get("model name") or platform.processor() or platform.machine()
    return {
        "processor": f"{name} {lines.get('cpu family', '')} {lines.get('model', '')}".strip(),
        "instructions": " ".join(matter),
        "cores": str(os.cpu_count()),
    }


def key(identity: dict[str, str]) -> str:
    """Return a short hash that names an identity's file."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:20]


def _cpuinfo() -> dict[str, str]:
    """Read the first processor's entry where the system has one."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return {}
    rows = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in rows}
