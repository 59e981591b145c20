"""Run a compiled C simulation, as a program of its own, since a failed assertion in it ends the process.

``python -m optimise_onnx.backends.hls.run_library library function given.npy results.npy size,... size...``: first the
sizes of inputs, then of outputs.
"""

import ctypes
import sys
from collections.abc import Sequence

import numpy as np

from .network import Floats


def run(library: str, function: str, samples: Floats, taken: Sequence[int], sizes: Sequence[int]) -> Floats:
    """Return (n, sum of sizes): each sample's outputs, of these sizes, one behind the other.

    ``samples`` (n, sum of taken) has the inputs in the same way.
    """
    simulated = getattr(ctypes.CDLL(library), function)
    results = np.zeros((len(samples), sum(sizes)))
    starts, begins = np.cumsum([0, *sizes[:-1]]), np.cumsum([0, *taken[:-1]])
    for sample, result in zip(samples, results, strict=True):
        given = np.ascontiguousarray(sample, np.float64)
        inputs, outputs = (given[begin:] for begin in begins), (result[start:] for start in starts)
        simulated(*(_address(array) for array in (*inputs, *outputs)))
    return results


def _address(values: Floats) -> ctypes.c_void_p:
    return ctypes.c_void_p(values.ctypes.data)


if __name__ == "__main__":
    library, function, given, results, taken, *sizes = sys.argv[1:]
    counts = [int(size) for size in taken.split(",")]
    np.save(results, run(library, function, np.load(given), counts, [int(size) for size in sizes]))
