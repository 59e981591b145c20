"""The ``optimise-onnx`` command, also as ``python -m optimise_onnx``."""

import sys

from .backends.memory import keep_freed
from .tools.process import ENDING, INTERRUPTED, own_streams


def main() -> int:
    """Run the command line in a process of its own, which ends tidily however it is ended. Return the exit code."""
    ENDING.install()
    own_streams()
    keep_freed()
    try:
        from .tools.cli import main as commands  # not before the signals are taken over: this takes long

        return commands()
    except BaseException:
        if not ENDING.asked:
            raise
        print("error: interrupted", file=sys.stderr)
        return INTERRUPTED
    finally:
        ENDING.forget()


if __name__ == "__main__":
    sys.exit(main())
