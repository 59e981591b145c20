"""``optimise-onnx replay``."""

from pathlib import Path
from typing import Annotated

import typer

from ..files import check_outputs
from ..terminal import Terminal
from . import options as o

Made = Annotated[Path, typer.Argument(metavar="OUT.json", help="What `compress --report` wrote.", show_default=False)]
Where = Annotated[Path | None, typer.Option("--model", metavar="IN.onnx", help="The model, if it lies elsewhere now.")]
Others = Annotated[bool, typer.Option("--other-versions", help="Try it with other versions than the report names.")]


@o.command
def replay(
    out: Terminal,
    report: Made,
    *,
    model: Where = None,
    data: o.Data = None,
    output: o.MaybeOutput = None,
    json_file: o.Json = None,
    other_versions: Others = False,
) -> None:
    """Make the model of a report again, byte for byte; without -o it is only checked that this can be done.

    Nothing is measured: what devices answered is in the report.
    """
    check_outputs([output, json_file], [report, model, data])
    from ...passes.hashing import graph_digest
    from ..output import save, write_json
    from ..replay import replay as again

    with out.progress() as progress:
        graph = again(report, source=model, data=data, other_versions=other_versions, progress=progress)
    out.say("the same bytes as the report's")
    told = {"report": str(report), "same": True, "result": graph_digest(graph)}
    if output is None:
        write_json(out, json_file, told)
    else:
        save(out, graph, output, values={json_file: told})
