"""``optimise-onnx compress``."""

from pathlib import Path

from ...ir.errors import UsageError
from ..files import check_output
from ..terminal import Terminal
from . import options as o


@o.command
def compress(
    out: Terminal,
    source: o.Model,
    target: o.Target,
    output: o.MaybeOutput = None,
    data: o.Data = None,
    samples: o.Count = None,
    criterion: o.Criterion = None,
    keep: o.Keep = None,
    keep_type: o.KeepType = None,
    allocation: o.Allocation = "global",
    sampler: o.Sampler = False,
    forms: o.Forms = None,
    cache: o.Cache = True,
    max_ratio: o.MaxRatio = None,
    align: o.Align = 1,
    labels: o.Labels = None,
    metric: o.Metric = None,
    report: o.Report = None,
    seed: o.Seed = 0,
    strict: o.Strict = False,
    dry_run: o.DryRun = False,
) -> None:
    """Remove channels until the model costs what --target says, and repair what is left."""
    if not dry_run:
        _check_outputs(source, output, report, data)
    from .. import api, compression, output as results  # noqa: I001

    settings = compression.Settings.parse(
        target, criterion=criterion, allocation=allocation, sampler=sampler, forms=forms or (), keep=keep or (),
        keep_type=keep_type or (), max_ratio=max_ratio, align=align, seed=seed, strict=strict, cache=cache,
    )  # fmt: skip
    with out.progress() as progress:
        found = api.compress_with(source, settings, data, samples, labels, metric, progress)
    results.show(out, found.report)
    results.save(out, found, None if dry_run else output, report)


def _check_outputs(source: Path, output: Path | None, report: Path | None, data: str | None) -> None:
    if output is None:
        raise UsageError("no output is given", hint="add -o OUT.onnx or --dry-run")
    inputs = [source, *([Path(data)] if data else [])]
    check_output(output, inputs)
    if report is not None:
        check_output(report, [*inputs, output])
