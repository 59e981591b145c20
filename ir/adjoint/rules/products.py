"""Products of matrices."""

from collections.abc import Mapping

from ...shapes import Shape
from ..sheet import Sheet
from ..step import Step, positions, repeated, summed


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


def einsum(step: Step) -> Mapping[int, str]:
    """Return the gradients of a sum of products over letters: by one factor, that of the slope and all the others.

    Letters that only one factor has are repeated. Raises UnsupportedOpError for an ellipsis, and for letters that stand
    for two axes of a factor or for two sizes.
    """
    terms, result = _letters(step)
    found = {}
    for index in step.wanted:
        others = [place for place in range(len(terms)) if place != index]
        known = "".join([result, *(terms[place] for place in others)])
        kept = "".join(letter for letter in terms[index] if letter in known)
        equation = f"{','.join([result, *(terms[place] for place in others)])}->{kept}"
        slope = step.sheet.add("Einsum", step.slope, *(step.x(place) for place in others), equation=equation)
        if kept != terms[index]:
            sizes = zip(terms[index], step.shape(index), strict=True)
            slope = step.sheet.reshape(slope, [size if letter in kept else 1 for letter, size in sizes])
            slope = repeated(step.sheet, slope, step.shape(index))
        found[index] = slope
    return found


def _letters(step: Step) -> tuple[list[str], str]:
    """Return the letters of every factor and of the result."""
    equation = str(step.attribute("equation")).replace(" ", "")
    left, arrow, result = equation.partition("->")
    terms = left.split(",")
    if "." in equation or any(len(set(term)) < len(term) for term in terms):
        raise step.refuse("an ellipsis or a letter that a factor has twice")
    sizes: dict[str, int] = {}
    for place, term in enumerate(terms):
        for letter, size in zip(term, step.shape(place), strict=True):
            if sizes.setdefault(letter, size) != size:
                raise step.refuse(f"the letter '{letter}' stands for two sizes")
    return terms, result if arrow else "".join(letter for letter in sorted(sizes) if left.count(letter) == 1)


def _fitted(step: Step, product: str, shape: Shape, matrix: Shape, wanted: Shape) -> str:
    found = summed(step.sheet, product, shape, matrix)
    return _shaped(step, found, matrix, wanted)


def _shaped(step: Step, x: str, shape: Shape, wanted: Shape) -> str:
    return step.sheet.reshape(x, wanted) if shape != wanted else x


def _turned(sheet: Sheet, x: str, shape: Shape) -> str:
    rank = len(shape)
    return sheet.transpose(x, (*range(rank - 2), rank - 1, rank - 2))
