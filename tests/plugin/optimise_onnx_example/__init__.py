"""An outside package that adds one thing of every kind to optimise-onnx."""
