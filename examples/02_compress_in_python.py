"""Compress the shipped digits network from Python and save the result.

python examples/02_compress_in_python.py
"""

from pathlib import Path

import optimise_onnx
from optimise_onnx.demo import load_samples, paths

samples = load_samples()
result = optimise_onnx.compress(paths()[0], target="macs=0.6x", align=4, data={"image": samples.calibration})
report = result.report
print(f"MACs {report.before.macs:,} -> {report.after.macs:,}")
print(f"parameters {report.before.parameters:,} -> {report.after.parameters:,}")
Path("digits_small.onnx").write_bytes(result.model.SerializeToString())
