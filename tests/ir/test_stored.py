"""What makes weights of stored codes belongs to the layer that reads them first, through whatever chain."""

import onnx.parser
from oracle import graph_of

from optimise_onnx.ir.stored import makers, stored_nodes
from optimise_onnx.tools.layers import layer_lines

MODEL = """
<ir_version: 8, opset_import: ["" : 13]>
chain (float[N, 4] x) => (float[N, 4] z)
<int8[4, 4] q = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, float s = {0.1}>
{
    made = DequantizeLinear(q, s)
    turned = Transpose<perm = [1, 0]>(made)
    first = MatMul(x, turned)
    y = Relu(first)
    z = MatMul(y, made)
}
"""


def test_codes_count_once_at_the_first_layer_behind_a_chain() -> None:
    graph = graph_of(onnx.parser.parse_model(MODEL))
    made, turned, first, _, second = (node.name for node in graph.nodes)
    layers = [graph.node(first), graph.node(second)]
    assert stored_nodes(graph) == {made, turned}
    assert {name: sorted(own) for name, own in makers(graph, layers).items()} == {
        first: sorted([made, turned]),
        second: [],
    }
    lines = {line.name: line.parameters for line in layer_lines(graph, graph)}
    assert sum(pair[0] for pair in lines.values()) == 17 and lines[first][0] == 17  # 16 codes and a scale
