"""Arrays of atoms: along which axes they vary."""

import numpy as np

from ....ir.graph import Array


def squeeze_alike(atoms: Array) -> Array:
    """Shrink to size 1 every axis along which the array does not vary."""
    for axis in range(atoms.ndim):
        if atoms.shape[axis] > 1:
            first = np.take(atoms, [0], axis)
            if (atoms == first).all():
                atoms = first
    return atoms


def collapses(atoms: Array, axis: int) -> bool:
    """Whether atoms are alike along one axis but not along all."""
    small = squeeze_alike(atoms)
    return small.shape[axis] == 1 and small.size > 1
