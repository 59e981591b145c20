"""What a model file claims of itself is checked before it is believed: texts, types, dimensions, other files, sizes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.frontends.calibration import calibration
from optimise_onnx.frontends.load import load
from optimise_onnx.ir.errors import BudgetError, InvalidModelError, OptimiseOnnxError
from optimise_onnx.passes.base import Context
from optimise_onnx.passes.cleanup.constants import FoldConstants

Change = Callable[[onnx.ModelProto], None]


def model(*nodes: onnx.NodeProto, **arrays: np.ndarray) -> onnx.ModelProto:
    """y (N, 4) of x (N, 4): nodes, else ``x + c``, with the stored arrays."""
    made = list(nodes) or [helper.make_node("Add", ["x", "c"], ["y"])]
    stored = {"c": np.ones(4, np.float32)} | arrays
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4]) for name in "xy")
    graph = helper.make_graph(made, "g", [x], [y], [numpy_helper.from_array(a, n) for n, a in stored.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def c(made: onnx.ModelProto) -> TensorProto:
    return made.graph.initializer[0]


def dims(*sizes: int) -> Change:
    return lambda made: c(made).dims.__setitem__(slice(None), sizes)


def raw(change: Callable[[bytes], bytes]) -> Change:
    return lambda made: setattr(c(made), "raw_data", change(c(made).raw_data))


def kind(number: int) -> Change:
    return lambda made: setattr(c(made), "data_type", number)


def too_few_floats(made: onnx.ModelProto) -> None:
    c(made).ClearField("raw_data")
    c(made).float_data.extend([1, 2, 3])


def texts(made: onnx.ModelProto) -> None:
    c(made).CopyFrom(helper.make_tensor("c", TensorProto.STRING, [1], [b"a"]))
    c(made).dims[:] = [3]


def elsewhere(made: onnx.ModelProto) -> None:
    c(made).data_location = TensorProto.EXTERNAL
    c(made).ClearField("raw_data")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (dims(5), r"'c' does not hold what its dimensions say: \[5\] takes 20 bytes, it has 16"),
        (dims(10**9), "takes 4,000,000,000 bytes"),
        (dims(-4), "'c' has a negative dimension"),
        (raw(lambda held: held[:-1]), "takes 16 bytes, it has 15"),
        (raw(lambda held: held + held), "it has 32"),
        (too_few_floats, "takes 4 entries, it has 3"),
        (kind(127), "'c' has the unknown element type 127"),
        (kind(0), "unknown element type 0"),
        (texts, r"'c' does not hold what its dimensions say: \[3\] takes 3 entries, it has 1"),
        (elsewhere, "'c' lie in another file"),
    ],
)
def test_tensors_that_contradict_themselves(change: Change, said: str) -> None:
    made = model()
    change(made)
    with pytest.raises(InvalidModelError, match=said):
        load(made)


def test_declared_types_that_are_unknown_or_no_tensors() -> None:
    made = model()
    made.graph.input[0].type.tensor_type.elem_type = 127
    with pytest.raises(InvalidModelError, match="unknown element type 127"):
        load(made)
    made.graph.input[0].CopyFrom(helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, None))
    with pytest.raises(InvalidModelError, match="'x' of the model is a sequence"):
        load(made)


def test_tensors_of_attributes_and_subgraphs_are_looked_at() -> None:
    value = numpy_helper.from_array(np.ones(1, np.float32))
    value.dims[:] = [3]
    with pytest.raises(InvalidModelError, match="takes 12 bytes, it has 4"):
        load(model(helper.make_node("ConstantOfShape", ["n"], ["y"], value=value), n=np.array([4])))


@pytest.mark.parametrize("field", [b"weight_c", b"node_add", b"text_doc"])
def test_texts_that_are_not_utf8(field: bytes) -> None:
    made = model(helper.make_node("Add", ["x", "weight_c"], ["y"], name="node_add", doc_string="text_doc"))
    c(made).name = "weight_c"
    broken = made.SerializeToString().replace(field, b"\xff" + field[1:])
    with pytest.raises(InvalidModelError, match="is not UTF-8"):
        load(broken)


@pytest.mark.parametrize(
    ("said", "entries"),
    [
        ("has 16", {"location": "w.bin", "offset": "1000000"}),
        ("its length is 4", {"location": "w.bin", "length": "4"}),
        ("'-8' is no number", {"location": "w.bin", "offset": "-8"}),
        ("'abc' is no number", {"location": "w.bin", "offset": "abc"}),
        ("from byte 8 of", {"location": "w.bin", "offset": "8"}),
        ("outside of the model's folder", {"location": "../w.bin"}),
        ("outside of the model's folder", {"location": "/etc/passwd"}),
        ("is missing", {"location": "v.bin"}),
        ("is missing", {"location": ""}),
    ],
)
def test_files_beside_the_model_that_are_not_as_claimed(said: str, entries: dict[str, str], tmp_path: Path) -> None:
    made = model()
    (tmp_path / "w.bin").write_bytes(c(made).raw_data)
    elsewhere(made)
    for key, value in entries.items():
        c(made).external_data.add(key=key, value=value)
    (tmp_path / "in.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(InvalidModelError, match=said):
        load(tmp_path / "in.onnx")


def test_a_file_beside_the_model_is_read(tmp_path: Path) -> None:
    onnx.save(model(), tmp_path / "in.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    graph, _ = load(tmp_path / "in.onnx", OrtRunner())
    assert [t.array.tolist() for t in graph.constants()] == [[1, 1, 1, 1]]


def test_a_file_of_more_than_protobuf_holds(tmp_path: Path) -> None:
    with (tmp_path / "in.onnx").open("wb") as file:
        file.truncate(3 * 2**30)
    with pytest.raises(InvalidModelError, match="more than the 2 GiB"):
        load(tmp_path / "in.onnx")


def sparse(size: int, *shape: int) -> onnx.SparseTensorProto:
    values = numpy_helper.from_array(np.array([5], np.float16), "c")
    return helper.make_sparse_tensor(values, numpy_helper.from_array(np.array([size], np.int64)), list(shape))


def test_sparse_weights_keep_their_type_and_places() -> None:
    made = model(helper.make_node("Cast", ["c"], ["d"], to=1), helper.make_node("Add", ["x", "d"], ["y"]))
    del made.graph.initializer[:]
    made.graph.sparse_initializer.append(sparse(2, 4))
    graph, changes = load(made, OrtRunner())
    (constant,) = graph.constants()
    assert (constant.dtype, constant.array.tolist()) == (np.float16, [0, 0, 5, 0])
    assert changes == ["1 sparse weights became dense"]


def test_weights_that_are_no_inputs_before_that_was_allowed() -> None:
    made = model()
    made.ir_version = 3
    graph, changes = load(made, OrtRunner())
    assert graph.to_model().ir_version == 4 and made.ir_version == 3
    assert changes == ["IR version 3 became 4, the first to allow weights that are no inputs"]


def test_sizes_below_zero_are_open() -> None:
    """PaddlePaddle's exporter declares what is open as -1, and onnxruntime reads it so."""
    made = model()
    for value in (*made.graph.input, *made.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = -1
    graph, changes = load(made, OrtRunner())
    assert changes == ["2 sizes below zero became open ones"]
    assert made.graph.input[0].type.tensor_type.shape.dim[0].dim_value == -1
    samples = calibration({"x": np.zeros((7, 4), np.float32)}, graph)
    assert samples.samples == 7
    (x,) = graph.to_model().graph.input
    assert [size.WhichOneof("value") for size in x.type.tensor_type.shape.dim] == [None, "dim_value"]


@pytest.mark.parametrize("stored", [False, True])
def test_texts_are_carried(stored: bool) -> None:
    names = helper.make_tensor("names", TensorProto.STRING, [3], [b"cat", b"dog", b"fox"])
    top = helper.make_node("ArgMax", ["x"], ["top"], axis=1, keepdims=0)
    made = model(top, helper.make_node("Gather", ["names", "top"], ["y"]))
    if stored:
        made.graph.initializer.append(names)
    else:
        made.graph.node.insert(0, helper.make_node("Constant", [], ["names"], value=names))
    made.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.STRING, ["N"]))
    graph, _ = load(made, OrtRunner())
    FoldConstants().run(graph, Context(OrtRunner(), graph))
    session = OrtRunner().session(graph)
    given = [np.eye(4, dtype=np.float32)[[place]] for place in (1, 1, 2)]
    found = [session.run({"x": array})["y"] for array in given]
    assert found[0] == found[1] != found[2]
    assert not list(graph.constants())


def test_sparse_weights_whose_zeros_fill_the_memory() -> None:
    made = model()
    del made.graph.initializer[:]
    made.graph.sparse_initializer.append(sparse(2, 10**6, 10**6))
    with pytest.raises(BudgetError, match=r"sparse tensor 'c' \[1000000, 1000000\] needs too much memory"):
        load(made)


def laughing(depth: int) -> onnx.ModelProto:
    """A model of functions, each of which calls the one before eight times; the first calls the last when depth < 0."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    made = model(helper.make_node(f"F{abs(depth)}", ["x"], ["y"], domain="own"))
    made.opset_import.append(opsets[1])
    for level in range(abs(depth) + 1):
        names = ["p", *(f"m{place}" for place in range(7)), "q"]
        inner = f"F{level - 1}" if level else f"F{abs(depth)}" if depth < 0 else "Relu"
        domain = "" if inner == "Relu" else "own"
        nodes = [helper.make_node(inner, [a], [b], domain=domain) for a, b in zip(names[:-1], names[1:], strict=True)]
        made.functions.append(helper.make_function("own", f"F{level}", ["p"], ["q"], nodes, opsets))
    return made


@pytest.mark.parametrize(
    ("depth", "error", "said"),
    [
        (11, BudgetError, "68,719,476,736 nodes"),
        (40, BudgetError, "too many nodes"),
        (-3, InvalidModelError, "calls itself|recursive"),
    ],
)
def test_functions_that_come_to_too_much(depth: int, error: type[OptimiseOnnxError], said: str) -> None:
    with pytest.raises(error, match=said):
        load(laughing(depth))


def test_functions_are_put_in_place() -> None:
    graph, changes = load(laughing(1), OrtRunner())
    assert (len(graph.nodes), changes[0]) == (64, "inlined 2 local functions")
