"""What TensorFlow's converter leaves in a graph and ONNX lacks is written with ONNX's operators."""

import numpy as np
import onnx
import onnxruntime
from scipy.special import erfc

from optimise_onnx.frontends import keras as front_end


class Model:
    """Stands in for a Keras model whose exact GELU became ``Erfc``."""

    def export(self, path: str, **_options: object) -> None:
        x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [3]) for name in "xy")
        graph = onnx.helper.make_graph([onnx.helper.make_node("Erfc", ["x"], ["y"], name="e")], "g", [x], [y])
        onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9), path)


def test_the_complement_of_the_error_function_is_spelled() -> None:
    model = front_end._exported(Model())
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Erf", "Sub"]
    x = np.array([-1.5, 0, 2], np.float32)
    (found,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    np.testing.assert_allclose(found, erfc(x), atol=1e-6)
