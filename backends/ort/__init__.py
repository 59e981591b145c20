"""onnxruntime: sessions, what its profiler records, and how long runs take."""

from ... import __name__ as _root  # refuses a bare import  # noqa: F401
from .environment import prepare
from .sessions import OrtRunner, OrtSession

__all__ = ["OrtRunner", "OrtSession"]

prepare()
