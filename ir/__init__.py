"""The ONNX-based intermediate representation: graph, shapes, cost, errors. Imports none of our other parts."""

from .. import __name__ as _root  # refuses a bare import  # noqa: F401
