"""Operators that need their operands whole, each with the reason a person reads in the report."""

from .....ir.cost import inner_layers, is_layer
from .....ir.graph import Node
from ..labels import Pin, Propagation
from .elementwise import static

_NAMED = 4

_REASONS = {
    "If": "channels do not cross into its branches",
    "Loop": "channels do not cross into its body",
    "Scan": "channels do not cross into its body",
}


_HINT = "keep these channels, or rewrite the operator with basic ones"
_HINT_IF = "where an input decides which branch: optimise-onnx fix --set INPUT=VALUE"
_HINT_CODES = "quantise the float model as QDQ (onnxruntime's QuantFormat.QDQ), or compress it with --quantise int8"
_BEGINS = "DynamicQuantize", "MatMulNBits", "QAttention", "QGemm", "QLinear"
_ENDS = "Integer", "IntegerToFloat"


def whole(ctx: Propagation, node: Node, cause: str = "") -> None:
    """Pin every labelled operand, also those that subgraphs read from outside, and name a layer that stays itself."""
    why = cause or _REASONS.get(node.op, "this operator has no rule, so nothing is assumed about it")
    hint = (
        _HINT_IF
        if node.op == "If"
        else _HINT_CODES
        if node.op.startswith(_BEGINS) or node.op.endswith(_ENDS)
        else _HINT
    )
    for tensor in (*node.inputs, *node.captures()):
        if tensor.name in ctx.shapes:
            ctx.pin(ctx.of(tensor).atoms, node, why, hint)
            if static(tensor):
                ctx.demand(tensor, [], node)
    if is_layer(node):
        inside = inner_layers(node)
        named = f"; inside: {', '.join(inside[:_NAMED])}{', …' * (len(inside) > _NAMED)}" if inside else ""
        made = next(tensor.name for tensor in node.outputs if tensor.name)
        ctx.kept.append((made, Pin(node.name, node.op, why + named, hint)))


def rest(ctx: Propagation, node: Node) -> None:
    """Keep what a rule has not looked at: computed operands keep their channels, no reader may slice stored ones."""
    if any(static(tensor) for tensor in node.outputs):
        return
    for tensor in node.inputs:
        if static(tensor) and tensor.name not in ctx.demanded:
            ctx.demand(tensor, [], node)
        if not static(tensor) and tensor.name not in ctx.read:
            ctx.pin(ctx.of(tensor).atoms, node, f"it reads '{tensor.name}' as a whole")


def shape(ctx: Propagation, node: Node) -> None:
    """Shape and Size tie nothing themselves: what is made of the numbers they give is followed beside the rules."""
    ctx.of(node.inputs[0])
