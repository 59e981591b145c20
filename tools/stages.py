"""A compressed model quantised in the end, and what each of the two steps does to it: prune, quantise, both."""

from __future__ import annotations

from dataclasses import replace

from ..backends.ort.quantiser import quantised
from ..ir.errors import UsageError
from ..ir.feeds import Calibration
from ..ir.graph import Graph
from ..ir.runner import Runner
from ..ir.verify import verify
from ..passes.analysis.layers.rounding import DEQUANTISE
from ..passes.base import Context
from ..passes.manager import PassManager
from ..passes.pipelines import EXACT
from .compression import Executed
from .evaluation import Samples
from .measure import compared
from .report import Report, Stage


def check_float(graph: Graph) -> None:
    """Raise UsageError where a model is quantised already."""
    if any(node.op == DEQUANTISE or node.op.startswith(("QLinear", "DynamicQuantize")) for node in graph.every_node()):
        raise UsageError("the model is quantised already", hint="leave out --quantise: its codes are repaired anyway")


def with_codes(original: Graph, executed: Executed, runner: Runner, used: Calibration) -> tuple[Executed, Graph]:
    """Return the result quantised on the samples ``used``, and the original quantised alike, for comparison."""
    plain = executed.start.copy()
    PassManager.parse(EXACT).run(plain, Context(runner, original, used, verify=False))
    result, alone = quantised(executed.graph, used), quantised(plain, used)
    verify(result, original)
    return replace(executed, graph=result), alone


def stages(
    original: Graph, pruned: Graph, alone: Graph, found: Report, runner: Runner, samples: Samples
) -> tuple[Stage, ...]:
    """Measure what pruning and quantising do alone, beside both, which is what was ``found``."""
    parts = (("prune", pruned), ("quantise", alone))
    known = [Stage(name, graph.written_bytes(), compared(original, graph, runner, samples)) for name, graph in parts]
    return *known, Stage("both", found.after.bytes, found.fidelity)
