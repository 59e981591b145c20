"""One thread a process for linear algebra, for waiting BLAS threads spin when tests run side by side; an own cache."""

import os
import tempfile

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ["OPTIMISE_ONNX_CACHE"] = tempfile.mkdtemp(prefix="optimise-onnx-tests-")
