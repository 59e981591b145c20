"""Data movement, run literally on labels."""

import numpy as np

from .case import Case, by_head, channels, features, heads, ints, plain, tokens, weight

RESHAPES = [
    Case("Flatten", [channels(1, 2, side=2)], """
y@1: 1 1 1 1 2 2 2 2
"""),
    Case("Flatten", [tokens(1, 2)], """
y@1: 1 2 1 2 1 2 1 2 1 2
"""),
    Case("Reshape", [channels(1, 2, 3, 4), ints(0, 2, 2, 4, 4)], """
y@2: 1 2 | 3 4
equal 1 2 | 3 4
"""),
    Case("Reshape", [heads([1, 2], [3, 4]), ints(0, 0, -1)], """
y@2: 1 2 3 4
"""),
    Case("Reshape", [by_head([1, 2], [3, 4]), ints(0, 2, -1)], """
y@2: 1 2 1 2 1 2 1 2 1 2 | 3 4 3 4 3 4 3 4 3 4
equal 1 2 1 2 1 2 1 2 1 2 | 3 4 3 4 3 4 3 4 3 4
"""),
    Case("Reshape", [features(1, 2), plain(4)], """
pin 1 2: its shapes are unknown
"""),
    Case("Transpose", [channels(1, 2)], """
y@3: 1 2
""", {"perm": [0, 2, 3, 1]}),
    Case("Transpose", [heads([1, 2], [3, 4])], """
y@0: 1 2 | 3 4
equal 1 2 | 3 4
"""),
    Case("Squeeze", [channels(1, 2, side=1), ints(2, 3)], """
y@1: 1 2
"""),
    Case("Unsqueeze", [features(1, 2), ints(1)], """
y@2: 1 2
"""),
    Case("DepthToSpace", [channels(1, 2, 3, 4, 5, 6, 7, 8)], """
y@1: 1 2
tie 3=1 4=2 5=1 6=2 7=1 8=2
""", {"blocksize": 2}),
    Case("DepthToSpace", [channels(1, 2, 3, 4, 5, 6, 7, 8)], """
y@1: 1 5
tie 2=1 3=1 4=1 6=5 7=5 8=5
""", {"blocksize": 2, "mode": "CRD"}),
    Case("SpaceToDepth", [channels(1, 2)], """
y@1: 1 2 1 2 1 2 1 2
""", {"blocksize": 2}),
    Case("Expand", [channels(1, 2, side=1), ints(2, 2, 3, 3)], """
y@1: 1 2
"""),
    Case("Expand", [plain(2, 1, 4, 4), ints(2, 3, 4, 4)], """
y@1: 11 12 13
"""),
    Case("Tile", [features(1, 2), ints(1, 3)], """
y@1: 1 2 1 2 1 2
"""),
    Case("Tile", [channels(1, 2), ints(1, 1, 2, 2)], """
y@1: 1 2
"""),
    Case("Resize", [channels(1, 2), None, np.array([1, 1, 2, 2], np.float32)], """
y@1: 1 2
"""),
    Case("Resize", [channels(1, 2), None, None, plain(4)], """
pin 1 2: its shapes are unknown
"""),
    Case("Upsample", [channels(1, 2), np.array([1, 1, 2, 2], np.float32)], """
y@1: 1 2
""", opset=9),
]  # fmt: skip

JOINING = [
    Case("Concat", [channels(1, 2), channels(3), channels(1, 2)], """
y@1: 1 2 3 1 2
""", {"axis": 1}),
    Case("Concat", [channels(1, 2), plain(2, 2, 4, 4), weight(2, 1, 4, 4)], """
y@1: 1 2 0 0 0
""", {"axis": -3}),
    Case("Concat", [channels(1, 2), channels(3, 4)], """
y@1: 1 2
tie 1=3 2=4
""", {"axis": 2}),
    Case("Concat", [channels(1, 2), plain(2, 2, 4, 4)], """
y@1: 1 2
pin 1 2: it is concatenated with a tensor whose channels cannot be removed
""", {"axis": 3}),
    Case("Concat", [tokens(1, 2), weight(2, 1, 2)], """
y@2: 1 2
w@2: 1 2
""", {"axis": 1}),
    Case("Split", [features(1, 2, 3, 4, 5), ints(2, 3)], """
y@1: 1 2
z@1: 3 4 5
""", {"axis": 1}, outputs=2),
    Case("Split", [features(1, 2), ints(1, 1)], """
pin 1: all channels of its output could only go together
pin 2: all channels of its output could only go together
""", {"axis": 1}, outputs=2),
    Case("Split", [heads([1, 2], [3, 4]), ints(1, 1)], """
y@3: 1 2
z@3: 3 4
""", {"axis": 2}, outputs=2),
    Case("Split", [heads([1, 2], [3, 4]), ints(1, 1)], """
y@2: 1 3
z@2: 1 3
tie 2=1 4=3
""", {"axis": 3}, outputs=2),
]  # fmt: skip

PICKING = [
    Case("Slice", [features(1, 2, 3, 4, 5), ints(4), ints(-9), ints(1), ints(-2)], """
y@1: 5 3 1
"""),
    Case("Slice", [features(1, 2, 3), ints(-2), ints(2**63 - 1), ints(-1)], """
y@1: 2 3
"""),
    Case("Slice", [channels(1, 2), ints(1), ints(3), ints(2)], """
y@1: 1 2
"""),
    Case("Slice", [heads([1, 2, 3], [4, 5, 6]), ints(0), ints(2), ints(3)], """
y@3: 1 2
tie 4=1 5=2 6=3
"""),
    Case("Slice", [heads([1, 2, 3], [4, 5, 6]), ints(1), ints(2), ints(3)], """
y@2: 1 4
tie 2=1 3=1 5=4 6=4
"""),
    Case("Slice", [features(1, 2), plain(1), ints(1), ints(1)], """
pin 1 2: its shapes are unknown
"""),
    Case("Gather", [features(1, 2, 3), ints(2, 0, -1)], """
y@1: 3 1 3
""", {"axis": 1}),
    Case("Gather", [features(1, 2, 3, 4), ints(0, 1, 2, 3).reshape(2, 2)], """
y@2: 1 2 | 3 4
equal 1 2 | 3 4
""", {"axis": 1}),
    Case("Gather", [features(1, 2, 3), ints(1).reshape(())], """
pin 2: all channels of its output could only go together
""", {"axis": 1}),
    Case("Gather", [features(1, 2), plain(3)], """
pin 1 2: it works across the axis these channels lie on
""", {"axis": 1}),
    Case("Gather", [tokens(1, 2), plain(3)], """
y@2: 1 2
""", {"axis": 1}),
    Case("Gather", [heads([1, 2], [3, 4]), ints(1).reshape(())], """
y@2: 3 4
""", {"axis": 2}),
    Case("Gather", [heads([1, 2], [3, 4]), ints(0).reshape(())], """
y@2: 1 3
tie 2=1 4=3
""", {"axis": 3}),
    Case("Gather", [heads([1, 2], [3, 4]), ints(1, 0)], """
y@3: 2 1
tie 3=1 4=2
""", {"axis": 3}),
    Case("Pad", [channels(1, 2), ints(0, 1, 0, 0, 0, 2, 0, 0), weight()], """
y@1: 11 1 2 14 15
"""),
    Case("Pad", [channels(1, 2), ints(0, 0, 1, 1, 0, 0, 1, 1)], """
y@1: 1 2
""", {"mode": "reflect"}),
    Case("Pad", [channels(1, 2), ints(0, 1, 0, 0, 0, 0, 0, 0)], """
pin 1 2: it mirrors or crops the channel axis
""", {"mode": "edge"}),
    Case("Pad", [heads([1, 2], [3, 4]), ints(0, 0, 0, 0, 0, 0, 0, 1), weight()], """
y@3: 1 2 13
tie 3=1 4=2
"""),
]  # fmt: skip

CASES = [*RESHAPES, *JOINING, *PICKING]
