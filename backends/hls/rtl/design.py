"""A whole network as Verilog in a folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..adder_graphs import layer_kernel
from ..network import Affine, Convolution, Dense, Input, Network
from ..precision import Precision
from .formats import Setting, instance
from .layers import unit
from .links import Link, forms, links
from .pipelines import adder_sources
from .streams import STREAMS
from .words import WORDS

TOP = "network"
FILE = "network.v"


@dataclass(frozen=True)
class Design:
    """``network.v`` in ``folder``: module ``network`` with clk, rst, and a stream (data, valid, ready) for each of
    ``inputs`` and ``outputs``: ``data_in0``, ``data_out0`` and so on.

    ``levels``: the clocks that each layer takes from the last word a result needs to the result.
    """

    folder: Path
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    links: tuple[Link, ...]
    levels: Mapping[str, int]


def build(network: Network, precision: Precision, folder: Path, depths: Mapping[str, int] | None = None) -> Design:
    """Write a network as streaming hardware: a pixel with all its channels each clock, every product unrolled.

    ``depths``: words that links store, by name, where another depth is wanted than is safe for any network. Raises
    LoweringError, naming the layer, where no hardware can be made, and where da4ml is missing.
    """
    given, wired = forms(network, precision), links(network, precision, depths or {})
    texts, levels = [STREAMS, WORDS, adder_sources()], {}
    for layer in network.layers:
        if isinstance(layer, Input):
            continue
        kernel = layer_kernel(layer, precision) if isinstance(layer, Convolution | Dense | Affine) else None
        made = unit(layer, [given[name] for name in layer.inputs], precision[layer.name], kernel)
        texts.append(made.verilog)
        levels[layer.name] = made.levels
    inputs = tuple(layer.name for layer in network.layers if isinstance(layer, Input))
    texts.append(_top(network, inputs, wired))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text("\n".join(texts), encoding="utf-8")
    return Design(folder, inputs, network.outputs, wired, levels)


def _top(network: Network, inputs: Sequence[str], wired: Sequence[Link]) -> str:
    forms_of = {link.writer: link.form for link in wired}
    ports = ["input clk", "input rst"]
    ports += [f"input [{forms_of[name].bits - 1}:0] data_in{i}" for i, name in enumerate(inputs)]
    ports += [f"input valid_in{i}, output ready_in{i}" for i in range(len(inputs))]
    ports += [f"output [{forms_of[name].bits - 1}:0] data_out{i}" for i, name in enumerate(network.outputs)]
    ports += [f"output valid_out{i}, input ready_out{i}" for i in range(len(network.outputs))]
    lines = []
    for layer in network.layers:
        lines += _fork(layer.name, [link for link in wired if link.writer == layer.name])
    for number, link in enumerate(wired):
        lines += _link(number, link)
    for i, name in enumerate(inputs):
        lines.append(f"assign {name}_data = data_in{i}, {name}_valid = valid_in{i}, ready_in{i} = {name}_ready;")
    lines += [_placed(layer.name, wired) for layer in network.layers if not isinstance(layer, Input)]
    return f"module {TOP} (\n  " + ",\n  ".join(ports) + "\n);\n  " + "\n  ".join(lines) + "\nendmodule\n"


def _fork(name: str, readers: Sequence[Link]) -> list[str]:
    """Hand a layer's word to all its readers at once, when all can take it."""
    bits = readers[0].form.bits
    lines = [f"wire [{bits - 1}:0] {name}_data;", f"wire {name}_valid, {name}_ready;"]
    for link in readers:
        lines += [
            f"wire [{bits - 1}:0] {link.name}_data;",
            f"wire {link.name}_free, {link.name}_valid, {link.name}_ready;",
        ]
    return [*lines, f"assign {name}_ready = {' & '.join(f'{link.name}_free' for link in readers)};"]


def _link(number: int, link: Link) -> list[str]:
    name, writer = link.name, link.writer
    if link.reader is None:
        out = f"out{link.port}"
        ends = [f"assign data_{out} = {name}_data, valid_{out} = {name}_valid, {name}_ready = ready_{out};"]
    else:
        ends = []
    if not link.depth:
        return [
            *ends,
            f"assign {name}_data = {writer}_data, {name}_valid = {writer}_valid, {name}_free = {name}_ready;",
        ]
    ports = {"clk": "clk", "rst": "rst", "in_data": f"{writer}_data", "in_valid": f"{writer}_valid & {writer}_ready"}
    ports |= {"in_ready": f"{name}_free", "out_data": f"{name}_data"}
    ports |= {"out_valid": f"{name}_valid", "out_ready": f"{name}_ready"}
    settings: dict[str, Setting] = {"W": link.form.bits, "D": link.depth, "ID": number}
    return [*ends, instance("link", f"link_{name}", settings, ports)]


def _placed(name: str, wired: Sequence[Link]) -> str:
    ports = {"clk": "clk", "rst": "rst"}
    for link in wired:
        if link.reader == name:
            ports |= {f"in{link.port}_{end}": f"{link.name}_{end}" for end in ("data", "valid", "ready")}
    ports |= {f"out_{end}": f"{name}_{end}" for end in ("data", "valid", "ready")}
    return instance(f"layer_{name}", f"place_{name}", {}, ports)
