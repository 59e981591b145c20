"""One thread a process for linear algebra, for waiting BLAS threads spin when tests run side by side; an own cache.

Tests share their machine, so none has a deadline, and a property is tried on 30 examples unless it asks for others.
"""

import os
import tempfile

from hypothesis import settings

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ["OPTIMISE_ONNX_CACHE"] = tempfile.mkdtemp(prefix="optimise-onnx-tests-")
settings.register_profile("shared", deadline=None, max_examples=30)
settings.load_profile("shared")
