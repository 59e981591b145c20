"""What a plan says of a pruned graph, held against both graphs in onnxruntime, tensor by tensor."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from oracle import graph_of
from zoo import feeds

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.ir.graph import Graph
from optimise_onnx.passes.analysis.channels.masking import masked
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.manager import PassManager
from optimise_onnx.passes.plan import Plan

Array = NDArray[Any]


def carried_out(model: onnx.ModelProto, pipeline: str) -> tuple[Graph, Plan]:
    """Run a pipeline without data; return the graph and the plan after it."""
    graph = graph_of(model)
    shared = Context(OrtRunner(1), graph.copy())
    PassManager.parse(pipeline).run(graph, shared)
    return graph, shared.plan


def zeroed(plan: Plan, graph: Graph) -> Graph:
    """The reference, in which everything reads zeros in place of the channels that are gone from the graph."""
    keep = plan.class_mask(graph)
    assert plan.reference is not None and keep is not None
    channels = plan.reference.channels
    stays = {group.name: group.cells[keep[group.cells]] for group in channels.groups if not keep[group.cells].all()}
    return masked(plan.reference.graph, channels, stays)


def values(graph: Graph, names: list[str], inputs: dict[str, Array]) -> dict[str, Array]:
    return OrtRunner(1).session(graph, outputs=names, exact=True).run(inputs)


def disagreements(model: onnx.ModelProto, graph: Graph, plan: Plan) -> tuple[list[str], int, int]:
    """Name the tensors of both graphs whose values are not what the plan says is left of the reference's; say how many
    were compared, and how many of them are shorter.
    """
    reference, inputs = zeroed(plan, graph), feeds(model, 3, 2)
    made = {tensor.name for node in graph.nodes for tensor in node.outputs if tensor.name and node.op != "Shape"}
    known = {tensor.name for node in reference.nodes for tensor in node.outputs if tensor.name}
    common = sorted(name for name in made & known if plan.kept.get(name, True) is not None)
    wanted, got = values(reference, common, inputs), values(graph, common, inputs)
    wrong, shorter = [], 0
    for name in common:
        origin = plan.kept.get(name)
        left = wanted[name] if origin is None else origin.restrict(wanted[name])
        shorter += left.size < wanted[name].size
        scale = np.abs(left).max(initial=1e-6) if left.dtype.kind == "f" else 0
        if left.shape != got[name].shape or not np.allclose(left, got[name], rtol=0, atol=1e-4 * scale, equal_nan=True):
            wrong.append(name)
    return wrong, len(common), shorter
