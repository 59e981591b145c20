"""One thread a process for linear algebra, for waiting BLAS threads spin when tests run side by side; an own cache.

Tests share their machine, so none has a deadline, and a property is tried on 30 examples unless it asks for others.
Nor does the guard time their tiny networks: unless marked ``timed``, every smaller model counts as faster.
"""

import os
import tempfile

import pytest
from hypothesis import settings

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ["OPTIMISE_ONNX_CACHE"] = tempfile.mkdtemp(prefix="optimise-onnx-tests-")
settings.register_profile("shared", deadline=None, max_examples=30)
settings.load_profile("shared")


@pytest.fixture(autouse=True)
def faster(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this machine find every model twice as fast as the one it is held against."""
    from optimise_onnx.backends.latency.local import LocalDevice
    from optimise_onnx.ir.timing import Comparison

    if request.node.get_closest_marker("timed") is None:
        monkeypatch.setattr(LocalDevice, "compare", lambda *_: Comparison.exact(1.0, 0.5))
