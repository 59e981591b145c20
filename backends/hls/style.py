"""What a project is built for: the tool, and how layers hand values on."""

from dataclasses import dataclass
from typing import Literal

Backend = Literal["Vitis", "Vivado", "Quartus", "Catapult"]
IoType = Literal["io_stream", "io_parallel"]


@dataclass(frozen=True)
class Style:
    """``adder_graphs``: whether layers may be built by distributed arithmetic, which takes da4ml."""

    backend: Backend = "Vitis"
    io_type: IoType = "io_stream"
    adder_graphs: bool = True

    @property
    def xilinx(self) -> bool:
        """Whether it is built by AMD's tools, whose templates hls4ml keeps best."""
        return self.backend in {"Vitis", "Vivado"}


STREAMED = Style()
"""What costs are counted for where nothing else is said."""
