"""One thread a process for linear algebra: tests run side by side, and BLAS threads that wait for a core spin."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
