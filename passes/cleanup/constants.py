"""``fold-constants``: compute before deployment what does not depend on the inputs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from ...ir.branches import take_branches
from ...ir.graph import Graph, Node
from ...ir.shapes import infer_types
from ..base import Context, Outcome
from ..order import EXACT
from .channels_first import channels_first
from .evaluate import evaluate
from .loops.recurrences import write_recurrences
from .reversals import write_reversals
from .separate import separate_vectors
from .sequences import unroll_sequences
from .shape_targets import fold_shapes
from .to_qdq import to_qdq
from .unblock import unblock
from .unfuse import unfuse
from .unfuse_transformer import unfuse_transformer
from .zero_states import drop_zero_states


@dataclass(frozen=True)
class FoldConstants:
    """Evaluate constant nodes and known shapes; remove Identity, inference Dropout, dead nodes and unused weights.

    Sequences of known elements are written as Split and Concat, layers that onnxruntime has fused or laid out in
    blocks of channels as they were before,
    Loops that compute a GRU, LSTM or RNN as such (of Keras, for example), recurrent layers without initial states that
    are zero, reversals of whole sequences as Slice, operators on integer codes as float ones between roundings, an If
    of known condition as the branch that it takes. Quantised weights keep their stored format. A symbolic batch stays
    symbolic, and outputs keep their names.
    """

    name: ClassVar[str] = "fold-constants"
    preserves: ClassVar[frozenset[str]] = EXACT

    def run(self, graph: Graph, context: Context) -> Outcome:
        """Rewrite ``graph`` until nothing changes. Time: one run of the constant part, one shape inference a round."""
        before = _count(graph)
        graph.clean()
        turned, opened = channels_first(graph), to_qdq(graph)
        before = _count(graph) if opened else before
        apart = unfuse_transformer(graph)
        unblocked = unblock(graph, context.runner)
        passed = turned + opened + apart + unblocked + unfuse(graph) + unroll_sequences(graph) + _remove_passing(graph)
        if passed:
            infer_types(graph)
        computed = known = loops = 0
        while True:
            evaluated, shapes = evaluate(graph, context.runner), fold_shapes(graph)
            turned, layers, branches = write_reversals(graph), write_recurrences(graph), _take_branches(graph)
            if not evaluated + shapes + turned + layers + branches:
                break
            computed, known, loops = computed + evaluated, known + shapes, loops + layers
            passed += turned + layers + branches + _remove_passing(graph)
        passed += separate_vectors(graph) + drop_zero_states(graph)
        graph.clean()
        after = _count(graph)
        changed = bool(passed or computed or known) or after != before
        if not changed:
            return Outcome(False)
        notes = (f"{before[0] - after[0]} of {before[0]} nodes went", *_said(opened, unblocked, loops))
        return Outcome(True, notes, {"evaluated": computed, "shapes": known, "identities": passed, "nodes": after[0]})


def _said(opened: int, unblocked: int, loops: int) -> Iterator[str]:
    if opened:
        yield f"{opened} operators on codes are written as float ones between roundings (QDQ)"
    if unblocked:
        yield f"{unblocked} operators on blocks of channels (nchwc) are written as standard ones"
    if loops:
        yield f"Loops written as the recurrent layers that they compute: {loops}"


def _take_branches(graph: Graph) -> int:
    """Write every If outside other bodies whose condition is stored as the branch that it takes."""
    known = [node for node in graph.nodes if node.op == "If" and not node.domain and node.inputs[0].is_constant]
    if known:
        take_branches(graph, {node: bool(node.inputs[0].array.item()) for node in known})
    return len(known)


def _count(graph: Graph) -> tuple[int, int]:
    return len(graph.nodes), sum(1 for _ in graph.constants())


def _remove_passing(graph: Graph) -> int:
    """Take out every node that hands its input on unchanged."""
    return sum(_bypass(graph, node) for node in graph.nodes if _passes_on(graph, node))


def _passes_on(graph: Graph, node: Node) -> bool:
    if node.domain or not node.inputs or not node.outputs:
        return False
    if node.op == "Identity":
        return True
    if node.op != "Dropout" or any(mask.consumers or graph.is_output(mask) for mask in node.outputs[1:]):
        return False
    training = node.inputs[2] if len(node.inputs) > 2 and node.inputs[2].name else None
    return training is None or (training.is_constant and not training.array.any())


def _bypass(graph: Graph, node: Node) -> bool:
    """Let readers read the node's input; for an output of the model, let the producer write it instead."""
    source, result = node.inputs[0], node.outputs[0]
    if not graph.is_output(result):
        graph.replace_uses(result, source)
        graph.remove(node)
        return True
    producer = source.producer
    if producer is None or graph.is_output(source) or producer not in graph.nodes:
        return False
    outputs = [result if tensor == source else tensor for tensor in producer.outputs]
    graph.remove(node)
    graph.replace_uses(source, result)
    producer.set_outputs(outputs)
    return True
