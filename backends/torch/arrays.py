"""What the optimiser of tuning asks of PyTorch's tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ...ir.graph import Array
from .recorded import Recorded


class TorchArrays:
    """Tensors on ``device``."""

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)

    def placed(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """Return samples as tensors on the device."""
        return {
            name: value if torch.is_tensor(value) else torch.from_numpy(np.ascontiguousarray(value)).to(self._device)
            for name, value in feeds.items()
        }

    def joined(self, parts: Sequence[Any]) -> Any:
        """Return all entries of the parts as one vector."""
        return torch.cat([part.reshape(-1) for part in parts])

    def stacked(self, matrices: Sequence[Any], rows: int, columns: int) -> Any:
        """Return matrices as one tensor, with zeros below and to the right of each."""
        wide = [functional.pad(each, (0, columns - each.shape[1], 0, rows - each.shape[0])) for each in matrices]
        return torch.stack(wide)

    def repeated(self, step: Callable[..., Any]) -> Callable[..., Any]:
        """Return a step made quick to repeat: on a GPU, launched as a whole."""
        if self._device.type != "cuda":
            return step
        recorded = Recorded(step)
        return lambda feeds, state, rates: recorded(self.placed(feeds), state, rates)

    def read(self, values: Any) -> Array:
        """Return values as numpy has them."""
        found: Array = values.detach().cpu().numpy()
        return found
