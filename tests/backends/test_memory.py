"""Freed memory is kept: arrays that come and go do not fault their pages in again."""

import subprocess
import sys
from ctypes.util import find_library

import pytest

_FAULTS = """
import resource
from optimise_onnx.backends.memory import keep_freed
if {kept}:
    keep_freed()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    three = [bytearray(b"1") * (24 << 20) for _ in range(3)]
    del three
before = faults()
for _ in range(10):
    three = [bytearray(b"1") * (24 << 20) for _ in range(3)]
    del three
print(faults() - before)
"""


def _faults(kept: bool) -> int:
    script = _FAULTS.format(kept=kept)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux" or "libc.so.6" not in (find_library("c") or ""), reason="needs glibc")
def test_arrays_that_come_and_go_keep_their_pages() -> None:
    assert _faults(kept=True) * 10 < _faults(kept=False)
