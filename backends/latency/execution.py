"""What a prediction is for: onnxruntime's provider, threads and batch on this machine."""

import hashlib
import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import gettempdir

import onnxruntime

_FLAGS = ("asimd", "avx", "avx2", "fma", "sse4_1", "sve")
_FAMILIES = ("amx", "avx512", "avx_vnni", "sve", "i8mm", "bf16")


@dataclass(frozen=True)
class Execution:
    """``threads`` is the number of intra-op threads; ``batch`` what a symbolic first dimension becomes."""

    threads: int = 1
    batch: int = 1
    provider: str = "CPUExecutionProvider"

    def options(self, *, optimise: bool = True, profile: bool = False) -> onnxruntime.SessionOptions:
        """Return what sessions are made with: idle threads wait busily within a run, as where nothing else is set."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = self.threads
        # Threads that spin on between runs would take the cores from the next session to run.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        if not optimise:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        if profile:
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(gettempdir()) / f"optimise-onnx-{os.getpid()}-{id(options)}")
        return options

    def identity(self) -> dict[str, str]:
        """Return everything that measured times depend on besides what is measured."""
        fields = {name: str(value) for name, value in asdict(self).items()}
        return machine() | {"onnxruntime": onnxruntime.__version__} | fields


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
