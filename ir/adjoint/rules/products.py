"""Products of matrices."""

from collections.abc import Mapping

from ...shapes import Shape
from ..sheet import Sheet
from ..step import Step, positions, summed


def gemm(step: Step) -> Mapping[int, str]:
    """Return the gradients of ``y = alpha op(a) op(b) + beta c``, ``op`` a transpose or none."""
    alpha, beta = (float(step.attribute(name, 1.0)) for name in ("alpha", "beta"))
    turned = [bool(step.attribute(name, 0)) for name in ("transA", "transB")]
    a, b, slope, sheet = step.x(0), step.x(1), step.slope, step.sheet
    found = {}
    if 0 in step.wanted:
        pair, flags = ((b, slope), (turned[1], True)) if turned[0] else ((slope, b), (False, not turned[1]))
        found[0] = _product(sheet, *pair, *flags, alpha)
    if 1 in step.wanted:
        pair, flags = ((slope, a), (True, turned[0])) if turned[1] else ((a, slope), (not turned[0], False))
        found[1] = _product(sheet, *pair, *flags, alpha)
    if 2 in step.wanted:
        scaled = slope if beta == 1.0 else sheet.add("Mul", slope, sheet.constant(beta))
        found[2] = step.fitted(scaled, 2)
    return found


def _product(sheet: Sheet, a: str, b: str, turn_a: bool, turn_b: bool, alpha: float) -> str:
    return sheet.add("Gemm", a, b, transA=int(turn_a), transB=int(turn_b), alpha=alpha)


def matmul(step: Step) -> Mapping[int, str]:
    """Return the gradients of ``y = a b``, whose leading axes are broadcast; vectors count as matrices of one row."""
    left, right = step.shape(0), step.shape(1)
    rows, columns = left if len(left) > 1 else (1, *left), right if len(right) > 1 else (*right, 1)
    lead = step.shape_out()[: len(step.shape_out()) - (len(left) > 1) - (len(right) > 1)]
    whole = (*lead, rows[-2], columns[-1])
    a, b = (
        step.sheet.reshape(step.x(i), s) if s != step.shape(i) else step.x(i) for i, s in enumerate((rows, columns))
    )
    slope = _shaped(step, step.slope, step.shape_out(), whole)
    found = {}
    if 0 in step.wanted:
        product = step.sheet.add("MatMul", slope, _turned(step.sheet, b, columns))
        found[0] = _fitted(step, product, (*lead, *rows[-2:]), rows, left)
    if 1 in step.wanted:
        found[1] = _by_right(step, a, slope, (rows, columns, whole), right)
    return found


def _by_right(step: Step, a: str, slope: str, shapes: tuple[Shape, Shape, Shape], right: Shape) -> str:
    """Return the gradient by the right operand: of a matrix, as one product over all rows of the left one."""
    rows, columns, whole = shapes
    if len(columns) == 2:
        flat = step.sheet.reshape(a, (positions(rows) // rows[-1], rows[-1]))
        slopes = step.sheet.reshape(slope, (positions(whole) // whole[-1], whole[-1]))
        found = step.sheet.add("Gemm", flat, slopes, transA=1)
        return _shaped(step, found, columns, right)
    product = step.sheet.add("MatMul", _turned(step.sheet, a, rows), slope)
    return _fitted(step, product, (*whole[:-2], *columns[-2:]), columns, right)


def _fitted(step: Step, product: str, shape: Shape, matrix: Shape, wanted: Shape) -> str:
    found = summed(step.sheet, product, shape, matrix)
    return _shaped(step, found, matrix, wanted)


def _shaped(step: Step, x: str, shape: Shape, wanted: Shape) -> str:
    return step.sheet.reshape(x, wanted) if shape != wanted else x


def _turned(sheet: Sheet, x: str, shape: Shape) -> str:
    rank = len(shape)
    return sheet.transpose(x, (*range(rank - 2), rank - 1, rank - 2))
