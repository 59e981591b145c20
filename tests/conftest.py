"""One thread a process for linear algebra, for waiting BLAS threads spin when tests run side by side.

What the package caches or keeps of failures goes to a folder of the tests' own, which goes with them.

Tests share their machine, so none has a deadline, and a property is tried on 30 examples unless it asks for others.
Nor does the guard time their tiny networks: unless marked ``timed``, every smaller model counts as faster.
"""

import os
import shutil
import tempfile

import pytest
from hypothesis import settings

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())  # pytest keeps the last runs' folders itself
OWN = tempfile.mkdtemp(prefix="optimise-onnx-tests-")
os.environ |= {"OPTIMISE_ONNX_CACHE": OWN, "TMPDIR": OWN}
tempfile.tempdir = OWN
settings.register_profile("shared", deadline=None, max_examples=30)
settings.load_profile("shared")


def pytest_unconfigure() -> None:
    """Remove what the tests left."""
    shutil.rmtree(OWN, ignore_errors=True)


@pytest.fixture(autouse=True)
def faster(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this machine find every model twice as fast as the one it is held against."""
    from optimise_onnx.backends.latency.local import LocalDevice
    from optimise_onnx.ir.timing import Comparison

    if request.node.get_closest_marker("timed") is None:
        monkeypatch.setattr(LocalDevice, "compare", lambda *_: Comparison.exact(1.0, 0.5))
