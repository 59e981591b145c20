"""Between the tensors of the ONNX model and the layouts of the network."""

from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Port:
    """An input or output ``tensor`` of the ONNX model and the layer of ``shape``, (H, W, C) or (N,), that holds it.

    ``places`` has the tensor's shape without its batch: where in the layer, read row by row, each element lies.
    """

    tensor: str
    shape: tuple[int, ...]
    places: Ints

    def to_layer(self, samples: npt.NDArray[np.generic]) -> Floats:
        """Bring samples (n, *tensor's shape), such as (n, C, H, W), into the layer's layout, such as (n, H, W, C)."""
        flat = np.empty((len(samples), prod(self.shape)))
        flat[:, self.places.ravel()] = samples.reshape(len(samples), -1)
        return flat.reshape(-1, *self.shape)

    def to_tensor(self, values: Floats) -> Floats:
        """Bring values (n, *layer's shape) into the tensor's layout; undoes :meth:`to_layer`."""
        return np.asarray(values.reshape(len(values), -1)[:, self.places])
