"""An operator of another domain: ``y = x sigmoid(alpha x)``, entry by entry."""

import onnx

from optimise_onnx.ir.graph import Node
from optimise_onnx.ir.inference import as_input
from optimise_onnx.passes.analysis.channels.labels import Propagation


def rule(ctx: Propagation, node: Node) -> None:
    """Every entry of the output belongs to the channel of the entry that it is computed from."""
    labels = ctx.of(node.inputs[0])
    ctx.set(node.outputs[0], labels.atoms, labels.shrink)


def stand_in(node: onnx.NodeProto) -> onnx.NodeProto:
    """ONNX infers no shapes for the operator: they are those of its input."""
    return as_input(node)
