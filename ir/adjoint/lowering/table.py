"""What an operator without a rule is written in, by its name."""

from __future__ import annotations

from collections.abc import Callable

from ..step import Step
from . import attention, gates, norms, recurrent, sampling
from .functions import defined

Lowering = Callable[[Step], list[str]]
"""Writes a node anew and returns the names of its outputs. Raises UnsupportedOpError where it cannot."""

LOWERINGS: dict[str, Lowering] = {
    "Attention": defined,
    "Celu": defined,
    "GRU": recurrent.gru,
    "GridSample": sampling.grid_sample,
    "LRN": norms.local_response,
    "LSTM": recurrent.lstm,
    "LpNormalization": norms.lp_normalization,
    "MaxUnpool": sampling.max_unpool,
    "MeanVarianceNormalization": norms.mean_variance,
    "Mish": defined,
    "RMSNormalization": defined,
    "RNN": recurrent.rnn,
    "RotaryEmbedding": defined,
    "Shrink": defined,
    "Softsign": defined,
    "Swish": defined,
    "ThresholdedRelu": defined,
    "com.microsoft.FastGelu": gates.fast_gelu,
    "com.microsoft.MultiHeadAttention": attention.multi_head,
}
