"""Scans that also give the states before each of their steps, which the way back through them reads."""

import onnx
import onnx.helper

from ..sheet import Sheet


def remember(node: onnx.NodeProto, sheet: Sheet) -> None:
    """Let a Scan give its states before each step, as its last outputs."""
    form = {attribute.name: attribute for attribute in node.attribute}
    body, scanned = form["body"].g, form["num_scan_inputs"].i
    states = list(body.input[: len(node.input) - scanned])
    for name in ("scan_output_axes", "scan_output_directions"):
        if name in form:
            form[name].ints.extend([0] * len(states))
    for state in states:
        kept = sheet.name("state_before")
        body.node.append(onnx.helper.make_node("Identity", [state.name], [kept], f"{kept}_node"))
        body.output.add().CopyFrom(state)
        body.output[-1].name = kept
        node.output.append(sheet.name("states_before"))
