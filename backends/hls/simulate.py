"""hls4ml's C simulation of a project: compiled by g++, run in a process of its own, for it may abort."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from shutil import copytree

import numpy as np

from ...ir.errors import VerificationError
from ...ir.scratch import scratch
from ..process import run
from .network import Floats
from .project import NAME, SOURCES, Project

_RUNNER = "optimise_onnx.backends.hls.run_library"
_LINES_SHOWN = 12


def simulate(
    project: Project, samples: Floats, compile_seconds: float = 1800.0, run_seconds: float = 600.0
) -> dict[str, Floats]:
    """Return each output's values, (n, H, W, C) or (n, N), for samples of the network; all in double precision.

    Raises VerificationError, with the end of what was said, where the sources do not compile, or the simulation aborts
    or takes longer than allowed. The project's folder is not touched.
    """
    with scratch() as place:
        copied = Path(copytree(project.folder / SOURCES, place / SOURCES))
        script = copied / "build_lib.sh"
        script.write_text(script.read_text(encoding="utf-8").replace("-O3", "-O1"), encoding="utf-8")  # as fast to run
        _run(["bash", "build_lib.sh"], copied, compile_seconds, "compilation of the C simulation")
        (library,) = (copied / "firmware").glob("*.so")
        given, results = copied / "given.npy", copied / "results.npy"
        np.save(given, np.ascontiguousarray(samples.reshape(len(samples), -1), np.float64))
        sizes = [int(np.prod(shape)) for shape in project.outputs.values()]
        taken = ",".join(str(int(np.prod(shape))) for shape in project.inputs.values())
        command = [sys.executable, "-m", _RUNNER, str(library), f"{NAME}_double", str(given), str(results), taken]
        _run([*command, *map(str, sizes)], copied / "firmware", run_seconds, "C simulation")
        parts = np.split(np.load(results), np.cumsum(sizes)[:-1], axis=1)
    return {
        name: part.reshape(len(samples), *shape)
        for (name, shape), part in zip(project.outputs.items(), parts, strict=True)
    }


def _run(command: Sequence[str], folder: Path, seconds: float, what: str) -> None:
    try:
        ended = run(command, seconds, folder)
    except subprocess.TimeoutExpired as error:
        raise VerificationError(f"the {what} took over {seconds:g} s", hint="allow it more time") from error
    if ended.status != 0:
        how = f"signal {-ended.status}" if ended.status < 0 else f"status {ended.status}"
        raise VerificationError(f"the {what} failed with {how}", why="\n".join(ended.last(_LINES_SHOWN)) or "silently")
