"""List the groups of coupled channels of a model, and why the other channels have to stay.

python examples/04_channel_groups.py [MODEL.onnx]
"""

import sys

from optimise_onnx import load
from optimise_onnx.demo import paths
from optimise_onnx.passes.analysis.channels.groups import analyse

channels = analyse(load(sys.argv[1] if len(sys.argv) > 1 else paths()[0]))
for group in channels.groups:
    print(f"{group.name}: {group.width} channels, {len(group.cells)} cells")
for tensor, pin in channels.pins:
    print(f"{tensor} stays because of {pin.op} '{pin.node}': {pin.why}")
