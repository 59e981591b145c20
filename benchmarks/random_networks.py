"""Draw networks from the tests' grammar and hold what passes make of them against them: no output may be wrong.

    python benchmarks/random_networks.py [--networks 20000] [--seed 0]

Every network goes through the exact passes, a third of its channels are removed, and the result is compared with the
network whose removed channels are zero. Counts how many are refused, by exit code, and prints what is wrong. Other
seeds draw other networks, so several processes share the work.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import onnx
from hypothesis import HealthCheck, Phase, given, seed, settings
from oracle import distance
from zoo import feeds
from zoo.grammar import networks

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.frontends.load import load
from optimise_onnx.ir.errors import OptimiseOnnxError
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.manager import PassManager

_EXACT = "fold-constants,fold-batch-norm,fold-padding,remove-dead-channels,merge-duplicate-channels"
_REMOVAL = "select-channels{keep=0.67},remove-channels"
_TOLERANCE = 1e-4


def judged(model: onnx.ModelProto) -> str:
    """Say how it ends for one network; ``remove-channels`` holds its own result against the masked network."""
    runner = OrtRunner(1)
    try:
        original, _ = load(model, runner)
        graph = original.copy()
        context = Context(runner, original)
        PassManager.parse(_EXACT).run(graph, context, proven=original)
        if distance(original, graph, feeds(model, seed=0)) >= _TOLERANCE:
            return "wrong"
        PassManager.parse(_REMOVAL).run(graph, context)
        runner.session(graph).run(feeds(model, seed=1))
    except OptimiseOnnxError as error:
        return f"exit {error.exit_code}"
    except Exception as error:
        return f"bug: {type(error).__name__}: {error}"[:120]
    return "exit 0"


def main() -> int:
    """Return 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    counts, longest = Counter[str](), 0.0

    @seed(asked.seed)
    @settings(
        max_examples=asked.networks,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(networks())
    def survey(model: onnx.ModelProto) -> None:
        nonlocal longest
        start = time.monotonic()
        found = judged(model)
        longest = max(longest, time.monotonic() - start)
        counts[found] += 1
        if found == "wrong" or found.startswith("bug") or found in ("exit 1", "exit 5"):
            place = Path(f"random-{asked.seed}-{sum(counts.values())}.onnx")
            onnx.save(model, place)
            print(found, place, flush=True)

    survey()
    print(
        f"{sum(counts.values())} networks, seed {asked.seed}: {dict(sorted(counts.items()))}; longest {longest:.1f} s"
    )
    return int(any(name == "wrong" or name.startswith("bug") for name in counts))


if __name__ == "__main__":
    sys.exit(main())
