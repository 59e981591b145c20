"""Which words go where: a link from each layer to each of its readers, and to the outputs of the network."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..network import Activation, Addition, Affine, Concatenation, Flatten, Layer, Network
from ..precision import Precision
from .formats import StreamFormat

_RELAY = 2
"""Words that a link holds so that neither side waits for the other."""


@dataclass(frozen=True)
class Link:
    """Words of ``form`` from a layer to input ``port`` of another, or to the output of that number where ``reader`` is
    None; it stores ``depth`` words, none where it is but wires.
    """

    writer: str
    reader: str | None
    port: int
    form: StreamFormat
    depth: int

    @property
    def name(self) -> str:
        """``writer_to_reader_port``, or ``writer_to_output_port``."""
        return f"{self.writer}_to_{self.reader or 'output'}_{self.port}"


def forms(network: Network, precision: Precision) -> dict[str, StreamFormat]:
    """Return what each layer gives."""
    return {layer.name: StreamFormat(layer.shape, precision[layer.name].result) for layer in network.layers}


def links(network: Network, precision: Precision, depths: Mapping[str, int]) -> tuple[Link, ...]:
    """List the links, with the depths given by name, and enough for the others.

    A branch that waits for the other may hold two images, for the other may see a second one before the first leaves.
    """
    given, pairs = forms(network, precision), list(_pairs(network))
    counts = {layer.name: sum(writer == layer.name for writer, _, _ in pairs) for layer in network.layers}
    found = []
    for writer, reader, port in pairs:
        first = network.by_name[writer]
        depth = _depth(first, network.by_name.get(reader or ""), given[writer], counts[writer])
        link = Link(writer, reader, port, given[writer], depth)
        found.append(Link(writer, reader, port, given[writer], depths.get(link.name, depth)))
    return tuple(found)


def roomy(network: Network, precision: Precision) -> dict[str, int]:
    """Return depths by name at which no layer waits until its words are taken, where images come at the pace of the
    slowest layer: a link that stores anything holds an image.
    """
    wired = links(network, precision, {})
    return {link.name: max(link.depth, link.form.words + _RELAY) for link in wired if link.depth}


def _pairs(network: Network) -> Iterator[tuple[str, str | None, int]]:
    for layer in network.layers:
        for port, writer in enumerate(layer.inputs):
            yield writer, layer.name, port
    for port, writer in enumerate(network.outputs):
        yield writer, None, port


def _depth(writer: Layer, reader: Layer | None, form: StreamFormat, readers: int) -> int:
    if isinstance(reader, Addition | Concatenation):
        return 2 * form.words + _RELAY
    if readers > 1:
        return _RELAY
    wired = reader is None or isinstance(reader, Activation | Affine | Flatten) or isinstance(writer, Flatten)
    return 0 if wired else _RELAY
