"""Products of matrices."""

from __future__ import annotations

from .case import Case, spread

SHAPES = [
    ((2, 3), (3, 4)),
    ((3,), (3, 4)),
    ((2, 3), (3,)),
    ((3,), (3,)),
    ((5, 2, 3), (3, 4)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 4)),
    ((2, 3), (5, 3, 4)),
    ((5, 2, 3), (5, 3, 4)),
    ((5, 2, 3), (1, 3, 4)),
    ((1, 2, 3), (5, 3, 4)),
    ((2, 1, 2, 3), (5, 3, 4)),
    ((2, 5, 2, 3), (3,)),
    ((1, 1), (2, 1, 3)),
]

MATMULS = [Case("MatMul", spread(*a), spread(*b, seed=3)) for a, b in SHAPES]
GEMMS = [
    *(
        Case("Gemm", spread(*a), spread(*b, seed=3), spread(4), transA=ta, transB=tb, alpha=0.7, beta=1.3)
        for ta, a in enumerate(((2, 3), (3, 2)))
        for tb, b in enumerate(((3, 4), (4, 3)))
    ),
    *(Case("Gemm", spread(2, 3), spread(3, 4), spread(*c, seed=5)) for c in ((2, 4), (1, 4), (2, 1), (1,), (4,))),
    Case("Gemm", spread(2, 3), spread(3, 4)),
    Case("Gemm", spread(2, 3), spread(3, 4), spread(4), beta=0.0),
]

EINSUMS = [
    Case("Einsum", *(spread(*shape, seed=place) for place, shape in enumerate(shapes)), equation=equation)
    for equation, *shapes in (
        ("nqhd,nkhd->nhqk", (2, 3, 2, 4), (2, 5, 2, 4)),
        ("bi, ij", (3, 2), (2, 4)),
        ("ij->ji", (3, 2)),
        ("ab,bcd,d->ac", (3, 2), (2, 4, 3), (3,)),
        ("abc,ad->ad", (3, 2, 4), (3, 5)),
    )
]

PRODUCTS = [*MATMULS, *GEMMS, *EINSUMS]
