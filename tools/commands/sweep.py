"""``optimise-onnx sweep``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ..files import check_output, make_folder
from ..settings import Settings
from ..terminal import Terminal
from . import options as o

Targets = Annotated[
    str | None,
    typer.Option(metavar="T,T,...|auto:N", help="Targets: 0.9x,0.7x,0.5x, or auto:12 for 12 evenly spaced ones."),
]
Kind = Annotated[str, typer.Option(metavar="NAME", help="What they limit: macs, params, bytes, latency and so on.")]
Folder = Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where the models and the front go.")]


@o.command(Settings)
def sweep(
    out: Terminal,
    source: o.Model,
    *,
    config: o.Config = None,
    save_recipe: o.SaveRecipe = None,
    targets: Targets = None,
    kind: Kind = "macs",
    output: Folder,
    data: o.Data = None,
    samples: o.Count = None,
    labels: o.Labels = None,
    metric: o.Metric = None,
    json_file: o.Json = None,
    **wishes: Any,
) -> None:
    """Compress to many targets from one set of statistics: every model, and the front that they make.

    A target that cannot be met is a line that says so. front.json, front.svg and the table mark the knee.
    """
    from .. import front_output as results
    from ..front import Front
    from ..sweep import parsed, swept

    aims = parsed(targets or (), kind)
    settings = Settings.parse(aims[0], **wishes)
    call: dict[str, Any] = {"data": data, "samples": samples, "labels": labels, "metric": metric}
    o.save_recipe(out, save_recipe, settings, targets=targets, kind=aims[0].quantity.name, **call)
    make_folder(output)
    paths = [output / name for name in results.names(source, aims)]
    fronts = [output / name for name in (results.FRONT_JSON, results.FRONT_SVG, results.FRONT_HTML)]
    for path in (*paths, *fronts, *filter(None, (json_file,))):
        check_output(path, [source, *filter(None, (data, metric))])
    with out.progress() as progress:
        found = swept(source, aims, settings, **call, progress=progress)
        points = {number: results.keep(point, paths[number]) for number, point in found}
    front = Front(aims[0].quantity, tuple(points[number] for number in range(len(aims))))
    results.finish(out, front, source.name, output, json_file)
