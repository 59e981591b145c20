"""Recurrent layers, slow and obvious in float64, as onnx's evaluator knows no lengths or activations; their cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx.reference.op_run import OpRun

from .case import Array, Case, spread

FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "Relu": lambda x: np.maximum(x, 0.0),
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Softplus": lambda x: np.log1p(np.exp(x)),
    "Tanh": np.tanh,
}
DEFAULTS = {"GRU": ("Sigmoid", "Tanh"), "LSTM": ("Sigmoid", "Tanh", "Tanh"), "RNN": ("Tanh",)}
States = list[Array]


class _Recurrent(OpRun):
    """One sample after the other, one step after the other."""

    op_domain = ""
    states = 1

    def _step(self, x: Array, states: States, parts: Sequence[Array], f: Sequence[Any], form: Any) -> States:
        raise NotImplementedError

    def _run(
        self,
        x: Array,
        w: Array,
        r: Array,
        b: Array | None = None,
        lengths: Array | None = None,
        h: Array | None = None,
        c: Array | None = None,
        p: Array | None = None,
        **form: Any,
    ) -> tuple[Array, ...]:
        steps, batch, _ = x.shape
        ways, rows, width = len(w), w.shape[1], r.shape[2]
        begun = [np.zeros((ways, batch, width)) if each is None else each for each in (h, c)][: self.states]
        ends, y = [each.copy() for each in begun], np.zeros((steps, ways, batch, width))
        names = form.get("activations") or DEFAULTS[type(self).__name__] * ways
        for way in range(ways):
            each = len(names) // ways
            f = [FUNCTIONS[name.capitalize()] for name in names[way * each : (way + 1) * each]]
            parts = [w[way], r[way], np.zeros(2 * rows) if b is None else b[way], np.zeros(9) if p is None else p[way]]
            for sample in range(batch):
                count = steps if lengths is None else int(lengths[sample])
                order = range(count)[::-1] if way or form.get("direction") == "reverse" else range(count)
                states = [state[way, sample] for state in begun]
                for step in order:
                    states = self._step(x[step, sample], states, parts, f, form)
                    y[step, way, sample] = states[0]
                for end, state in zip(ends, states, strict=True):
                    end[way, sample] = state
        return (y, *ends)[: len(self.onnx_node.output)]


class LSTM(_Recurrent):
    """Input, output, forget, cell."""

    states = 2

    def _step(self, x: Array, states: States, parts: Sequence[Array], f: Sequence[Any], form: Any) -> States:
        (h, c), (w, r, b, p), n = states, parts, len(states[0])
        i, o, g, new = np.split(w @ x + r @ h + b[: 4 * n] + b[4 * n :], 4)
        holes = np.split(p, 3) if len(p) == 3 * n else [0.0] * 3
        c = f[0](g + holes[2] * c) * c + f[0](i + holes[0] * c) * f[1](new)
        return [f[0](o + holes[1] * c) * f[2](c), c]


class GRU(_Recurrent):
    """Update, reset, hidden."""

    def _step(self, x: Array, states: States, parts: Sequence[Array], f: Sequence[Any], form: Any) -> States:
        (h,), (w, r, b, _), n = states, parts, len(states[0])
        ours, theirs = w @ x + b[: 3 * n], r[: 2 * n] @ h + b[3 * n : 5 * n]
        z, s = (f[0](each) for each in np.split(ours[: 2 * n] + theirs, 2))
        last, bias = r[2 * n :], b[5 * n :]
        read = s * (last @ h + bias) if form.get("linear_before_reset") else last @ (s * h) + bias
        return [(1 - z) * f[1](ours[2 * n :] + read) + z * h]


class RNN(_Recurrent):
    """One gate."""

    def _step(self, x: Array, states: States, parts: Sequence[Array], f: Sequence[Any], form: Any) -> States:
        (h,), (w, r, b, _) = states, parts
        return [f[0](w @ x + r @ h + b[: len(h)] + b[len(h) :])]


REPLACED_RECURRENT = [LSTM, GRU, RNN]

STEPS, BATCH, READ, WIDTH = 4, 3, 2, 3
GATES = {"GRU": 3, "LSTM": 4, "RNN": 1}
LENGTHS = np.array([4, 1, 3], np.int32)


def _layer(op: str, ways: int = 1, *, bias: bool = True, more: Sequence[Any] = (), **form: Any) -> Case:
    rows = GATES[op] * WIDTH
    read = [spread(ways, rows, READ, low=-1, high=1), spread(ways, rows, WIDTH, low=-1, high=1, seed=2)]
    given = [*read, spread(ways, 2 * rows, low=-1, high=1)] if bias else read
    count = form.pop("outputs", 1)
    return Case(op, spread(STEPS, BATCH, READ), *given, *more, outputs=count, hidden_size=WIDTH, **form)


def _state(ways: int, seed: int) -> Array:
    return spread(ways, BATCH, WIDTH, low=-1, high=1, seed=seed)


_HOLES = spread(1, 3 * WIDTH, low=-1, high=1, seed=5)
RECURRENT = [
    *(_layer(op, bias=bias) for op in GATES for bias in (False, True)),
    *(_layer(op, direction="reverse") for op in GATES),
    *(_layer(op, 2, direction="bidirectional", outputs=2, used=(0, 1)) for op in GATES),
    *(_layer(op, more=[None, _state(1, 3)], outputs=2, used=(1,)) for op in GATES),
    *(_layer(op, 2, direction="bidirectional", more=[LENGTHS], outputs=2, used=(0, 1)) for op in GATES),
    _layer("LSTM", 2, more=[None, _state(2, 3), _state(2, 4)], outputs=3, used=(0, 1, 2), direction="bidirectional"),
    _layer("LSTM", more=[None, None, None, _HOLES]),
    _layer("LSTM", more=[LENGTHS, _state(1, 3), _state(1, 4), _HOLES], outputs=3, used=(0, 2), direction="reverse"),
    _layer("LSTM", activations=["Sigmoid", "Softplus", "Tanh"]),
    _layer("GRU", linear_before_reset=1),
    _layer("GRU", 2, linear_before_reset=1, direction="bidirectional", more=[LENGTHS]),
    _layer("GRU", linear_before_reset=1, bias=False),
    _layer("LSTM", activations=["sigmoid", "tanh", "tanh"], activation_alpha=[0.25, 0.25, 0.25]),
    _layer("RNN", activations=["Relu"]),
    _layer("RNN", opset=21),
]
