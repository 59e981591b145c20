"""``script.py:function``: a function without arguments that returns a model of any framework."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx

from .given import Given
from .scripts import function, guarded, is_script


class Returned:
    """Reads what the function returns: a model, or a pair of one and what it is called with as an example."""

    def reads(self, source: object) -> bool:
        """Whether it is the name of a function in a script."""
        return isinstance(source, str | Path) and is_script(str(source))

    def load(self, source: object, given: Given) -> onnx.ModelProto:
        """Call the function. Raises CalibrationError where it fails, and what reading its model raises."""
        from .formats import read  # which lists this front end

        with guarded(f"{source} failed"):
            found = function(str(source))()
        if isinstance(found, tuple) and len(found) == 2:
            found, example = found
            given = replace(given, example_inputs=example)
        return read(found, given)


RETURNED = Returned()
