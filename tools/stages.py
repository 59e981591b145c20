"""A compressed model quantised in the end, and what each of the two steps does to it: prune, quantise, both."""

from __future__ import annotations

import re
from dataclasses import replace

from ..backends.ort.quantiser import quantised
from ..ir.errors import UsageError
from ..ir.feeds import Calibration
from ..ir.graph import Graph
from ..ir.runner import Runner
from ..ir.verify import verify
from ..passes.analysis.layers.rounding import DEQUANTISE
from ..passes.analysis.outputs.precision import of_half
from ..passes.base import Context
from ..passes.manager import PassManager
from ..passes.pipelines import EXACT
from .answers import Answers
from .compression import Executed
from .evaluation import Samples
from .measure import compared
from .report import Report, Stage

_HALF = 19
_OF_CODES = re.compile("QLinear|DynamicQuantize|QGemm|QAttention|MatMulNBits|(Conv|MatMul)Integer")


def check_float(graph: Graph) -> None:
    """Raise UsageError where a model is quantised already, or of floats that its operator set cannot quantise."""
    if any(node.op == DEQUANTISE or _OF_CODES.match(node.op) for node in graph.every_node()):
        raise UsageError("the model is quantised already", hint="leave out --quantise: its codes are repaired anyway")
    if of_half(graph) and graph.opset < _HALF:
        why = f"scales of 16 bits came with operator set {_HALF}, it has {graph.opset}"
        raise UsageError("--quantise cannot take this float16 model", why=why, hint="export it as float32")


def with_codes(original: Graph, executed: Executed, runner: Runner, used: Calibration) -> tuple[Executed, Graph]:
    """Return the result quantised on the samples ``used``, and the original quantised alike, for comparison."""
    plain = executed.start.copy()
    PassManager.parse(EXACT).run(plain, Context(runner, original, used, verify=False))
    result, alone = quantised(executed.graph, used), quantised(plain, used)
    verify(result, original)
    raised = f"onnxruntime's quantiser has written operator set {result.opset} in place of {original.opset}"
    notes = (*executed.notes, raised) if result.opset != original.opset else executed.notes
    return replace(executed, graph=result, notes=notes), alone


def stages(original: Answers, pruned: Graph, alone: Graph, found: Report, samples: Samples) -> tuple[Stage, ...]:
    """Measure what pruning and quantising do alone, beside both, which is what was ``found``."""
    parts = (("prune", pruned), ("quantise", alone))
    known = [Stage(name, graph.written_bytes(), compared(original, graph, samples)) for name, graph in parts]
    return *known, Stage("both", found.after.bytes, found.fidelity)
