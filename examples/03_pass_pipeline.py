"""Run passes one by one on the shipped digits network: a quarter of every channel group goes, the rest is solved again.

python examples/03_pass_pipeline.py
"""

from optimise_onnx import Calibration, PassManager, load
from optimise_onnx.backends.ort import OrtRunner
from optimise_onnx.demo import load_samples, paths
from optimise_onnx.ir.cost import cost, total
from optimise_onnx.passes.base import Context

PIPELINE = "fold-constants,fold-batch-norm,select-channels{criterion=obs,keep=0.75},remove-channels,reconstruct"

graph = load(paths()[0])
calibration = Calibration.from_arrays({"image": load_samples().calibration})
context = Context(OrtRunner(), graph.copy(), calibration)
for record in PassManager.parse(PIPELINE).run(graph, context):
    print(f"{record.text}: {'; '.join(record.notes)}")
print(f"{total(cost(graph)).macs:,} MACs left")
