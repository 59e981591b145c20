"""``optimise-onnx hls``."""

from pathlib import Path
from typing import Any

from ..files import check_outputs
from ..terminal import Terminal
from . import hls_options as h
from . import options as o


@o.command
def hls(
    out: Terminal,
    source: o.Model,
    project: h.Project,
    data: o.Data = None,
    samples: h.Count = None,
    labels: o.Labels = None,
    backend: h.Backend = None,
    io_type: h.IoType = None,
    strategy: h.Strategy = None,
    reuse: h.Reuse = None,
    multipliers: h.Multipliers = None,
    bits: h.Bits = None,
    layers: h.Layers = None,
    hls_config: h.Config = None,
    max_error: h.MaxError = None,
    part: h.Part = None,
    clock: h.Clock = None,
    compare: h.Compare = None,
    recalibrate: h.Recalibrate = False,
    rtl: h.Rtl = False,
    front: h.Front = False,
    json_file: o.Json = None,
    csim: h.Csim = True,
    seed: o.Seed = 0,
    input_shapes: o.InputShapes = None,
    preprocess: o.Preprocess = None,
) -> None:
    """Write an hls4ml project: types from samples, bits proved by C simulation, costs by layer.

    No vendor tool runs here: no figure is a latency of an FPGA, and each says from which tier it comes.
    """
    wanted = h.settings(
        backend=backend, io_type=io_type, strategy=strategy, reuse=reuse, multipliers=multipliers, bits=bits,
        max_error=max_error, layers=layers or (), config=hls_config, part=part, clock=clock, recalibrate=recalibrate,
        rtl=rtl, front=front, csim=csim, seed=seed,
    )  # fmt: skip
    given = {"data": data, "samples": samples, "labels": labels, "before": compare}
    _hand_over(out, json_file, source, project, wanted, input_shapes=input_shapes, preprocess=preprocess, **given)


def _hand_over(out: Terminal, json_file: Path | None, source: Any, project: Path, wanted: Any, **given: Any) -> None:
    check_outputs([json_file], [source, given["before"], given["data"]])
    from ..hls import handover, output
    from ..output import write_json

    with out.progress() as progress:
        found = handover.hls_with(source, project, wanted, progress=progress, **given)
    output.show(out, found, given["before"].name if given["before"] else "")
    write_json(out, json_file, found.report.to_json())
