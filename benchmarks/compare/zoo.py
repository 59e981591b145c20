"""What each tool takes at all: every model of tests/zoo, by weights alone, half of its parameters asked for.

*smaller*: fewer parameters, and outputs of the same shapes in onnxruntime, all finite. *unchanged*: nothing was
removed. *refused*: the tool raised an error. *broken*: it gave a model that does not run, or whose outputs have other
shapes, or it crashed. Weights are random, so what outputs are worth is not asked here.
"""

import json
import math
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from .measure import child, session
from .peers import PEERS, Samples, compressed

TOOLS = ("ours", "onnxsim L2", "Torch-Pruning group", "kirigami group", "L1 in blocks")
ASKED = 0.5
LIMIT = 60


def cover(found: dict[str, Any], save: Callable[[], None], limit: float = 3600) -> None:
    """Find for each tool, by model, what came out, why, and the share of the parameters that is left.

    Every tool's is saved when it is done; what is ``found`` already is not looked for again.
    """
    for tool in (tool for tool in TOOLS if tool not in found):
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            failed = child("compare.zoo", {"tool": tool, "out": file.name}, limit)
            found[tool] = {"failed": failed} if failed else json.loads(Path(file.name).read_text())
        save()
        print(tool, Counter(str(each[0]) for each in found[tool].values()), flush=True)


def pruned(tool: str, path: Path, samples: Samples) -> onnx.ModelProto:
    """Ask for half of the parameters: a share of channels counts twice, going in and coming out."""
    if tool == "ours":
        return compressed(path, None, ASKED, "params", align=1, allow_partial=True)
    return PEERS[tool].make(path, samples, 1 - math.sqrt(ASKED))


def result(tool: str, model: onnx.ModelProto, feeds: Samples) -> list[Any]:
    """Prune one model; say how it ended."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "in.onnx"
        onnx.save(model, path)
        wanted = session(path).run(None, feeds)
        try:
            smaller = pruned(tool, path, feeds)
        except Exception as error:
            return ["refused", f"{type(error).__name__}: {' '.join(str(error).split())}"[:200], 1.0]
        onnx.save(smaller, Path(folder) / "out.onnx")
        left = floats(smaller) / max(floats(model), 1)
        try:
            made = session(Path(folder) / "out.onnx")
            got = made.run(None, {each.name: feeds[each.name] for each in made.get_inputs()})
        except Exception as error:
            return ["broken", f"{type(error).__name__}: {' '.join(str(error).split())}"[:200], left]
    if [x.shape for x in got] != [x.shape for x in wanted] or not all(
        np.isfinite(x).all() for x in got if x.dtype.kind == "f"
    ):
        return ["broken", "outputs of other shapes, or not finite", left]
    return ["smaller" if left < 0.98 else "unchanged", "", left]


def floats(model: onnx.ModelProto) -> int:
    """Count stored numbers of weights, those in nodes too."""
    stored = [*model.graph.initializer, *(a.t for n in model.graph.node for a in n.attribute if a.name == "value")]
    return sum(math.prod(each.dims) for each in stored if each.data_type in (1, 10, 11, 16))


def forked(work: Callable[[], list[Any]]) -> list[Any]:
    """Do it in a fork of this process, which may crash or not end."""
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        signal.alarm(LIMIT)
        os.write(writing, json.dumps(work()).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    os.waitpid(process, 0)
    ended: list[Any] = json.loads(told) if told else ["broken", f"crashed, or not done after {LIMIT} s", 1.0]
    return ended


def main() -> None:
    """Try all models with one tool; what it imports is imported once, before the forks."""
    sys.path.append(str(Path(__file__).resolve().parents[2] / "tests"))
    from zoo import ZOO, feeds

    from . import baselines, pruners  # noqa: F401

    spec = json.loads(Path(sys.argv[1]).read_text())
    found = {}
    for name, make in ZOO.items():
        model = make()
        found[name] = forked(partial(result, spec["tool"], model, feeds(model, 0)))
    Path(spec["out"]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
