"""Integer arithmetic on dimensions: ints, symbols (equal for every input when written alike), None for unknown."""

from ...ir.graph import Dim


def multiply(a: Dim, b: Dim) -> Dim:
    """a · b, a symbol only times 1."""
    if isinstance(a, int) and isinstance(b, int):
        return a * b
    if 0 in (a, b):
        return 0
    return b if a == 1 else a if b == 1 else None


def add(a: Dim, b: Dim) -> Dim:
    """a + b, a symbol only plus 0."""
    if isinstance(a, int) and isinstance(b, int):
        return a + b
    return b if a == 0 else a if b == 0 else None


def subtract(a: Dim, b: Dim) -> Dim:
    """a − b; equal symbols cancel."""
    if isinstance(a, int) and isinstance(b, int):
        return a - b
    return 0 if a == b and a is not None else a if b == 0 else None


def divide(a: Dim, b: Dim) -> Dim:
    """a / b, towards zero as ONNX divides integers; a symbol only by 1."""
    if isinstance(a, int) and isinstance(b, int):
        if b == 0:
            return None
        whole = abs(a) // abs(b)
        return whole if (a < 0) == (b < 0) else -whole
    return a if b == 1 else None


def least(a: Dim, b: Dim) -> Dim:
    """min(a, b)."""
    return min(a, b) if isinstance(a, int) and isinstance(b, int) else a if a == b else None


def greatest(a: Dim, b: Dim) -> Dim:
    """max(a, b)."""
    return max(a, b) if isinstance(a, int) and isinstance(b, int) else a if a == b else None


def equal(a: Dim, b: Dim) -> Dim:
    """1 or 0 where a = b can be decided: a dimension is never negative."""
    if isinstance(a, int) and isinstance(b, int):
        return int(a == b)
    below_zero = any(isinstance(side, int) and side < 0 for side in (a, b))
    named = any(isinstance(side, str) for side in (a, b))
    if below_zero and named:
        return 0
    return 1 if a == b and a is not None else None
