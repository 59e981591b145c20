"""Mutants by number: bytes of a file are changed, or parts of its protobuf; the same number gives the same mutant."""

from __future__ import annotations

import numpy as np
import onnx

from .bases import MAKERS, base
from .mutations import MUTATIONS

_BYTES = 0.35  # the share of mutants whose bytes are changed


def mutant(number: int) -> tuple[bytes, str]:
    """Return a file's content and what was done to make it."""
    rng = np.random.default_rng(number)
    name = str(rng.choice(list(MAKERS)))
    content = base(name)
    if rng.random() < _BYTES:
        return _flipped(content, rng), f"{name}: bytes"
    model = onnx.load_model_from_string(content)
    chosen = [str(rng.choice(list(MUTATIONS))) for _ in range(int(rng.choice((1, 1, 1, 2, 3))))]
    for each in chosen:
        MUTATIONS[each](model, rng)
    return model.SerializeToString(), f"{name}: {' '.join(chosen)}"


def _flipped(content: bytes, rng: np.random.Generator) -> bytes:
    held = bytearray(content)
    for _ in range(int(rng.integers(1, 9))):
        start = int(rng.integers(0, max(len(held), 1)))
        start = start if rng.random() < 0.4 else start % 600  # where structure is, more than weights
        end = start + int(rng.integers(1, 12))
        choice = int(rng.integers(0, 4))
        if choice == 0 and start < len(held):
            held[start] ^= 1 << int(rng.integers(0, 8))
        elif choice == 1:
            held[start:end] = rng.integers(0, 256, end - start, np.uint8).tobytes()
        elif choice == 2:
            del held[start:end]
        else:
            held[start:start] = held[start:end]
    return bytes(held)
