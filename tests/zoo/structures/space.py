"""Item 10: channels turned into pixels and pixels into channels."""

from __future__ import annotations

import onnx

from ..builder import Builder


def _depth_to_space(name: str, mode: str) -> onnx.ModelProto:
    b = Builder(name)
    h = b.conv_relu(b.input("x", ["N", 3, 8, 8]), 32)
    h = b.node("DepthToSpace", [h], blocksize=2, mode=mode)
    return b.model(b.conv(b.conv_relu(h, 12), 3))


def depth_to_space_dcr() -> onnx.ModelProto:
    """DCR: the block's pixels are the outer axis of the 32 channels."""
    return _depth_to_space("depth_to_space_dcr", "DCR")


def depth_to_space_crd() -> onnx.ModelProto:
    """CRD, torch's PixelShuffle: the block's pixels are the inner axis."""
    return _depth_to_space("depth_to_space_crd", "CRD")


def depth_to_space_output() -> onnx.ModelProto:
    """Super-resolution: the DepthToSpace is the graph output, so nothing before it can go."""
    b = Builder("depth_to_space_output")
    h = b.conv_relu(b.conv_relu(b.input("x", ["N", 1, 8, 8]), 16), 12)
    return b.model(b.node("DepthToSpace", [b.conv(h, 4)], blocksize=2, mode="CRD"))


def pixel_shuffle_reshape() -> onnx.ModelProto:
    """PixelShuffle decomposed: Reshape[N,C,2,2,H,W] → Transpose(0,1,4,2,5,3) → Reshape."""
    b = Builder("pixel_shuffle_reshape")
    h = b.reshape(b.conv_relu(b.input("x", ["N", 3, 8, 8]), 32), -1, 8, 2, 2, 8, 8)
    h = b.reshape(b.transpose(h, 0, 1, 4, 2, 5, 3), -1, 8, 16, 16)
    return b.model(b.conv(b.conv_relu(h, 12), 3))


def space_to_depth() -> onnx.ModelProto:
    """One channel becomes four, 12 apart."""
    b = Builder("space_to_depth")
    h = b.conv_relu(b.input("x", ["N", 3, 8, 8]), 12)
    h = b.node("SpaceToDepth", [h], blocksize=2)
    return b.model(b.head(b.conv_relu(h, 16), 5))


def _quarters(b: Builder, x: str, axes: tuple[int, int]) -> list[str]:
    """The four phases of a 2x2 grid, one strided Slice each, in the order of YOLOv5's Focus."""
    ends = b.ints(2**63 - 1, 2**63 - 1)
    phases = [b.ints(row, column) for column in (0, 1) for row in (0, 1)]
    return [b.node("Slice", [x, phase, ends, b.ints(*axes), b.ints(2, 2)]) for phase in phases]


def focus_slices() -> onnx.ModelProto:
    """YOLOv5 Focus: four strided Slices and a Concat, on the input and again on features."""
    b = Builder("focus_slices")
    h = b.concat(*_quarters(b, b.input("x", ["N", 3, 16, 16]), (2, 3)))
    h = b.concat(*_quarters(b, b.conv_relu(h, 12), (2, 3)))
    return b.model(b.head(b.conv_relu(h, 16), 5))


def patch_merging() -> onnx.ModelProto:
    """Swin patch merging: NHWC, four strided Slices, Concat on the last axis, Reshape, MatMul."""
    b = Builder("patch_merging")
    h = b.transpose(b.conv_relu(b.input("x", ["N", 3, 8, 8]), 12), 0, 2, 3, 1)
    merged = b.concat(*_quarters(b, h, (1, 2)), axis=-1)
    tokens = b.matmul(b.reshape(merged, -1, 16, 48), 24, bias=False)
    return b.model(b.matmul(b.relu(tokens), 5))


def patch_embedding_reshape() -> onnx.ModelProto:
    """Patches cut by Reshape → Transpose → Reshape from features, then a MatMul."""
    b = Builder("patch_embedding_reshape")
    h = b.reshape(b.conv_relu(b.input("x", ["N", 3, 8, 8]), 8), -1, 8, 4, 2, 4, 2)
    h = b.reshape(b.transpose(h, 0, 2, 4, 3, 5, 1), -1, 16, 32)
    return b.model(b.matmul(b.relu(b.matmul(h, 24)), 5))
