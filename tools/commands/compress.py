"""``optimise-onnx compress``."""

from pathlib import Path
from typing import Any

from ..files import check_output, check_outputs
from ..settings import Settings
from ..terminal import Terminal
from . import options as o


@o.command(Settings)
def compress(
    out: Terminal,
    source: o.Model,
    place: o.Place = None,
    *,
    config: o.Config = None,
    save_recipe: o.SaveRecipe = None,
    target: o.MaybeTarget = None,
    output: o.MaybeOutput = None,
    data: o.Data = None,
    samples: o.Count = None,
    labels: o.Labels = None,
    metric: o.Metric = None,
    report: o.Report = None,
    json_file: o.Json = None,
    dry_run: o.DryRun = False,
    print_pipeline: o.PrintPipeline = False,
    **wishes: Any,
) -> None:
    """Remove channels until the model costs what --target says, or as long as --max-drop is kept, and repair the rest.

    A latency is measured on this machine, both models in turns, or asked of --latency-command.
    """
    settings = Settings.parse(target, **wishes)
    call: dict[str, Any] = {"data": data, "samples": samples, "labels": labels, "metric": metric}
    output = o.written(place, output)
    o.save_recipe(out, save_recipe, settings, **call)
    if print_pipeline:
        _print_pipeline(out, settings)
        return
    _check_outputs(dry_run, output, (report, json_file), [source, *filter(None, (data, metric))])
    _carried_out(out, source, settings, call, None if dry_run else output, report, json_file)


def _carried_out(
    out: Terminal, source: Path, settings: Settings, call: dict[str, Any], output: Path | None, *reports: Path | None
) -> None:
    """Compress, show what came of it, and write it; a target that was missed is raised in the end."""
    from .. import api
    from .. import output as results

    with out.progress() as progress:
        found = api.compress_with(source, settings, **call, progress=progress)
    results.show(out, found.report)
    results.save(out, found, output, *reports)
    if found.missed is not None:
        raise found.missed


def _print_pipeline(out: Terminal, settings: Settings) -> None:
    from ..recipes import pipeline

    out.say(pipeline(settings))


def _check_outputs(
    dry_run: bool, output: Path | None, reports: tuple[Path | None, ...], inputs: list[str | Path]
) -> None:
    from ..report_files import check_report, places

    if not dry_run:
        output = o.needed(output, "add -o OUT.onnx or --dry-run")
        check_output(output, inputs)
        inputs = [*inputs, output]
    check_outputs([place for report in reports for place in places(report)], inputs)
    check_report(reports[0])
