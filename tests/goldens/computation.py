"""Operators that multiply and sum: convolutions, matrix products, recurrent layers, lookups."""

from .case import Case, by_head, channels, features, heads, plain, tokens, weight

CONVOLUTION = [
    Case("Conv", [channels(1, 2), weight(3, 2, 1, 1), weight(3)], """
y@1: 11 12 13
w@0: 11 12 13
w@1: 1 2
b@0: 11 12 13
ends x@1: 1 2
"""),
    Case("Conv", [channels(1, 2, 3, 4), weight(4, 2, 1, 1)], """
y@1: 11 12 13 14
w@0: 11 12 13 14
w@1: 1 2 | 1 2 | 3 4 | 3 4
ends x@1: 1 2 3 4
equal 1 2 | 3 4
equal 11 12 | 13 14
""", {"group": 2}),
    Case("Conv", [channels(1, 2), weight(4, 1, 1, 1), weight(4)], """
y@1: 1 1 2 2
w@0: 1 1 2 2
b@0: 1 1 2 2
""", {"group": 2}),
    Case("Conv", [channels(0, 1, 2, 3), weight(4, 2, 1, 1)], """
y@1: 11 12 13 14
w@0: 11 12 13 14
w@1: 0 1 | 0 1 | 2 3 | 2 3
ends x@1: 0 1 2 3
equal 11 12 | 13 14
pin 1 2 3: one group of this grouped convolution cannot shrink, so no other may
""", {"group": 2}),
    Case("Conv", [channels(1, 2, 3, 4), weight(2, 2, 1, 1)], """
y@1: 11 12
w@0: 11 12
w@1: 1 2 | 3 4
ends x@1: 1 2 3 4
equal 1 2 | 3 4
pin 11 12: one group of this grouped convolution cannot shrink, so no other may
""", {"group": 2}),
    Case("Conv", [channels(1, 2), weight(1, 2, 1, 1)], """
w@1: 1 2
ends x@1: 1 2
"""),
    Case("Conv", [channels(1, 2), plain(3, 2, 1, 1)], """
y@1: 11 12 13
ends x@1: 1 2
pin 1 2: its operand 'w' is computed, not stored
pin 11 12 13: its operand 'w' is computed, not stored
"""),
    Case("DeformConv", [channels(1, 2, 3, 4), weight(2, 4, 1, 1), plain(2, 4, 4, 4), weight(2), plain(2, 2, 4, 4)], """
y@1: 11 12
w@0: 11 12
w@1: 1 2 3 4
c@0: 11 12
ends x@1: 1 2 3 4
equal 1 2 | 3 4
""", {"offset_group": 2}, 19),
    Case("ConvTranspose", [channels(1, 2), weight(2, 3, 1, 1), weight(3)], """
y@1: 11 12 13
w@0: 1 2
w@1: 11 12 13
b@0: 11 12 13
ends x@1: 1 2
"""),
    Case("ConvTranspose", [channels(1, 2, 3, 4), weight(4, 2, 1, 1)], """
y@1: 11 12 13 14
w@0: 1 2 3 4
w@1: 11 12 | 11 12 | 13 14 | 13 14
ends x@1: 1 2 3 4
equal 1 2 | 3 4
equal 11 12 | 13 14
""", {"group": 2}),
    Case("ConvTranspose", [channels(1, 2), weight(2, 2, 1, 1)], """
y@1: 1 1 2 2
w@0: 1 2
""", {"group": 2}),
]  # fmt: skip

PRODUCTS = [
    Case("Gemm", [features(1, 2), weight(2, 3), weight(3)], """
y@1: 11 12 13
w@0: 1 2
w@1: 11 12 13
b@0: 11 12 13
ends x@1: 1 2
"""),
    Case("Gemm", [features(1, 2), weight(3, 2), weight(1, 3)], """
y@1: 11 12 13
w@0: 11 12 13
w@1: 1 2
b@1: 11 12 13
ends x@1: 1 2
""", {"transB": 1}),
    Case("Gemm", [weight(2, 3), features(1, 2)], """
y@1: 1 2
""", {"transA": 1}),
    Case("MatMul", [tokens(1, 2), weight(2, 3)], """
y@2: 11 12 13
w@0: 1 2
w@1: 11 12 13
ends x@2: 1 2
"""),
    Case("MatMul", [heads([1, 2], [3, 4]), weight(2, 3)], """
y@3: 11 12 13
w@0: 1 2
w@1: 11 12 13
ends x@3: 1 2
tie 3=1 4=2
tie 3=1 4=2
"""),
    Case("MatMul", [by_head([1, 2], [3, 4]), weight(2, 2, 3)], """
y@3: 11 12 13
w@1: 1 2 | 3 4
w@2: 11 12 13
ends x@3: 1 2 | 3 4
"""),
    Case("MatMul", [weight(3, 5), tokens(1, 2)], """
y@2: 1 2
"""),
    Case("MatMul", [tokens(1, 2), plain(2, 2, 3)], """
ends x@2: 1 2
pin 1 2: it is multiplied with 'w', whose channels cannot be removed
"""),
    Case("Einsum", [tokens(1, 2), weight(2, 3)], """
y@1: 11 12 13
w@0: 1 2
w@1: 11 12 13
ends x@2: 1 2
""", {"equation": "abc,cd->adb"}),
    Case("Einsum", [tokens(1, 2), tokens(3, 4), weight(2, 3)], """
y@2: 11 12 13
b@0: 1 2
b@1: 11 12 13
ends x@2: 1 2
ends w@2: 3 4
tie 1=3 2=4
tie 3=1 4=2
tie 1=3 2=4
""", {"equation": "abc,abc,cd->abd"}),
    Case("Einsum", [tokens(1, 2)], """
pin 1 2: implicit or repeated indices are not analysed
""", {"equation": "abc"}),
]  # fmt: skip

OTHERS = [
    Case("Gather", [weight(9, 3), plain(2, 5)], """
y@2: 11 12 13
x@1: 11 12 13
"""),
    Case("Gather", [weight(9, 3), features(1, 2)], """
y@2: 11 12 13
x@1: 11 12 13
pin 1 2: it reads 'w' as a whole
"""),
    Case("LSTM", [tokens(1, 2), weight(1, 8, 2), weight(1, 8, 2), weight(1, 16)], """
y@3: 11 12
w@1: 11 12 11 12 11 12 11 12
w@2: 1 2
b@1: 11 12 11 12 11 12 11 12
b@2: 11 12
c@1: 11 12 11 12 11 12 11 12 11 12 11 12 11 12 11 12
ends x@2: 1 2
ends b@2: 11 12
""", {"hidden_size": 2}),
    Case("GRU", [plain(2, 5, 3), weight(1, 6, 3), weight(1, 6, 2), None, None, heads([1, 2])], """
y@3: 11 12
w@1: 11 12 11 12 11 12
b@1: 11 12 11 12 11 12
b@2: 11 12
ends b@2: 11 12
tie 11=1 12=2
""", {"hidden_size": 2}),
    Case("RNN", [plain(2, 5, 3), weight(1, 2, 3), weight(1, 2, 2), None, None, plain(1, 5, 2)], """
y@3: 11 12
w@1: 11 12
b@1: 11 12
b@2: 11 12
ends b@2: 11 12
pin 11 12: its initial state 'e' cannot lose any
""", {"hidden_size": 2}),
    Case("RNN", [tokens(1, 2), plain(1, 2, 2), weight(1, 2, 2)], """
ends x@2: 1 2
pin 1 2: its operand 'w' is computed, not stored
""", {"hidden_size": 2}),
    Case("Attention", [tokens(1, 2, 3, 4), tokens(5, 6, 7, 8), tokens(9, 10)], """
y@2: 9 10
ends x@2: 1 2 3 4
ends w@2: 5 6 7 8
tie 1=5 2=6 3=7 4=8
equal 1 2 | 3 4
equal 5 6 | 7 8
pin 9 10: a head of its values cannot shrink, so no other may
""", {"q_num_heads": 2, "kv_num_heads": 2}, 23),
    Case("Attention", [tokens(1, 2), tokens(3, 4), plain(2, 5, 2), weight(5, 5)], """
ends x@2: 1 2
ends w@2: 3 4
tie 1=3 2=4
""", {"q_num_heads": 1, "kv_num_heads": 1}, 23),
    Case("com.microsoft.MultiHeadAttention", [tokens(1, 2), tokens(3, 4), tokens(5, 6), weight(6)], """
y@2: 5 6
c@0: 1 2 3 4 5 6
ends x@2: 1 2
ends w@2: 3 4
tie 1=3 2=4
""", {"num_heads": 1}),
    Case("com.microsoft.MultiHeadAttention", [tokens(1, 2), None, tokens(5, 6)], """
pin 1 2: only separate queries, keys and values without a cache are analysed
pin 5 6: only separate queries, keys and values without a cache are analysed
""", {"num_heads": 1}),
    Case("com.microsoft.GroupQueryAttention", [tokens(1, 2, 3, 4), tokens(5, 6), tokens(7, 8)], """
y@2: 1 1 3 3
tie 2=1 4=3
tie 5=1 6=3
tie 7=1 8=3
""", {"num_heads": 4, "kv_num_heads": 2}),
    Case("com.microsoft.GroupQueryAttention", [tokens(1, 2, 3, 4), tokens(5), tokens(6), *[plain(2, 1, 5, 1)] * 2], """
y@2: 1 2 3 4
pin 5: its heads of keys and values lie in a cache that the model is given
pin 6: its heads of keys and values lie in a cache that the model is given
""", {"num_heads": 4, "kv_num_heads": 1}),
    Case("com.microsoft.Gelu", [tokens(1, 2)], """
y@2: 1 2
"""),
    Case("RotaryEmbedding", [tokens(1, 2, 3, 4), weight(2, 5, 1), weight(2, 5, 1)], """
y@2: 1 2 1 2
w@2: 1
b@2: 1
tie 3=1 4=2
tie 1=2
""", {"num_heads": 2}, 23),
    Case("NonZero", [channels(1, 2)], """
pin 1 2: this operator has no rule, so nothing is assumed about it
"""),
    Case("Shape", [channels(1, 2)], ""),
    Case("Size", [channels(1, 2)], ""),
]  # fmt: skip

CASES = [*CONVOLUTION, *PRODUCTS, *OTHERS]
