"""Run a compiled C simulation, as a program of its own, since a failed assertion in it ends the process.

``python -m optimise_onnx.backends.hls.run_library library function given.npy results.npy size...``
"""

import ctypes
import sys
from collections.abc import Sequence

import numpy as np

from .network import Floats


def run(library: str, function: str, samples: Floats, sizes: Sequence[int]) -> Floats:
    """Return (n, sum of sizes): each sample's outputs, of these sizes, one behind the other."""
    simulated = getattr(ctypes.CDLL(library), function)
    results = np.zeros((len(samples), sum(sizes)))
    starts = np.cumsum([0, *sizes[:-1]])
    for sample, result in zip(samples, results, strict=True):
        given = np.ascontiguousarray(sample, np.float64)
        simulated(*(_address(array) for array in (given, *(result[start:] for start in starts))))
    return results


def _address(values: Floats) -> ctypes.c_void_p:
    return ctypes.c_void_p(values.ctypes.data)


if __name__ == "__main__":
    library, function, given, results, *sizes = sys.argv[1:]
    np.save(results, run(library, function, np.load(given), [int(size) for size in sizes]))
