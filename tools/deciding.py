"""Which inputs decide the branches of a model that hold layers, and the command that holds these inputs."""

from __future__ import annotations

import shlex
from pathlib import Path

from ..ir.cost import inner_layers
from ..ir.graph import Graph, Tensor

_SIZES = ("Shape", "Size")


def advice(graph: Graph, source: Path) -> tuple[str, ...]:
    """Say how to write out the branches of Ifs that hold layers; nothing where no input decides one."""
    values, sizes = deciding(graph)
    words = [word for name in values for word in ("--set", f"{name}=VALUE")]
    words += [word for name in sizes for word in ("--input-shape", f"{name}:SIZES")]
    if not words:
        return ()
    command = shlex.join(["optimise-onnx", "fix", str(source), "-o", f"{source.stem}-fixed.onnx", *words])
    return (f"inputs decide between branches that hold layers; hold them first, so that channels can go: {command}",)


def deciding(graph: Graph) -> tuple[list[str], list[str]]:
    """Name the inputs whose values decide an If whose branches hold layers, and those whose sizes do."""
    values, sizes = dict[str, None](), dict[str, None]()
    for node in graph.nodes:
        if node.op == "If" and not node.domain and inner_layers(node):
            _follow(node.inputs[0], values, sizes)
    inputs = [tensor.name for tensor in graph.inputs]
    return [name for name in inputs if name in values], [name for name in inputs if name in sizes]


def _follow(tensor: Tensor, values: dict[str, None], sizes: dict[str, None]) -> None:
    """Go back to the inputs that a tensor is made of; behind a Shape it is their sizes that count."""
    waiting, seen = [(tensor, values)], set[Tensor]()
    while waiting:
        each, found = waiting.pop()
        node = each.producer
        if node is None:
            found[each.name] = None
        elif each not in seen:
            seen.add(each)
            kind = sizes if node.op in _SIZES else found
            waiting += [(read, kind) for read in (*node.inputs, *node.captures()) if read.name and not read.is_constant]
