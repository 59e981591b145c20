"""``optimise-onnx bench``."""

from ..files import check_outputs
from ..terminal import Terminal
from . import options as o


@o.command
def bench(
    out: Terminal,
    first: o.First,
    second: o.MaybeSecond = None,
    threads: o.Threads = 1,
    batch: o.Batch = None,
    seconds: o.Seconds = 5.0,
    profile: o.Profile = False,
    json_file: o.Json = None,
    seed: o.Seed = 0,
    input_shapes: o.InputShapes = None,
) -> None:
    """Measure the latency of one model, or of two in turns.

    Shows median (p50) and 95th percentile (p95) of single runs, and the share of A's time that B takes: the median
    over rounds in which both run forwards and backwards (A B B A), with its exact 95 % confidence interval.
    An interval that comes within 1 % of 1 is no difference: two loads of the same model may differ as much.
    """
    paths = [first, *([second] if second else [])]
    check_outputs([json_file], paths)
    from .. import bench as measured
    from .. import table
    from ..output import write_json

    found = measured.bench(
        paths, threads=threads, batch=batch, seconds=seconds, seed=seed, profiled=profile, input_shapes=input_shapes
    )
    for line in table.benched(found):
        out.say(line)
    write_json(out, json_file, found.to_json())
