"""Every error a user can meet, with fields as well as text."""


class OptimiseOnnxError(Exception):
    """Base of all errors raised on purpose; ``exit_code`` is what the command returns for it."""

    exit_code = 1

    def __init__(self, message: str, *, node_name: str = "", op_type: str = "", why: str = "", hint: str = "") -> None:
        self.node_name, self.op_type, self.why, self.hint = node_name, op_type, why, hint
        where = f" at {op_type} '{node_name}'" if node_name else ""
        cause = f": {why}" if why else ""
        advice = f" ({hint})" if hint else ""
        super().__init__(f"{message}{where}{cause}{advice}")


class UsageError(OptimiseOnnxError):
    """An option or argument that cannot be used as given."""

    exit_code = 2


class InvalidModelError(OptimiseOnnxError):
    """The model file cannot be read, is refused by the checker, or does not load in onnxruntime."""

    exit_code = 3


class ReportError(OptimiseOnnxError):
    """A report that cannot be read, or does not hold what is needed of it."""

    exit_code = 3


class BudgetError(OptimiseOnnxError):
    """A model or data that need more memory or time than they may take."""

    exit_code = 3


class CalibrationError(OptimiseOnnxError):
    """Calibration data with a wrong name, shape, dtype or value."""

    exit_code = 3


class NumericalError(OptimiseOnnxError):
    """A NaN, an Inf, or a system too badly conditioned to solve; carries the value and its limit."""

    exit_code = 3

    def __init__(
        self, message: str, *, value: float | None = None, limit: float | None = None, hint: str = "", why: str = ""
    ) -> None:
        self.value, self.limit = value, limit
        super().__init__(message, hint=hint, why=why)


class TargetNotMetError(OptimiseOnnxError):
    """No selection of channels reaches the wanted cost."""

    exit_code = 4


def too_noisy(target: str, why: str) -> TargetNotMetError:
    """Say that no measurement tells whether a target is met."""
    hint = "measure where less else runs, or ask for less; --allow-partial writes it"
    return TargetNotMetError(f"too noisy to tell whether {target} is met", why=why, hint=hint)


class VerificationError(OptimiseOnnxError):
    """A rewritten graph does not compute what it must; nothing is written."""

    exit_code = 5


class UnsupportedOpError(OptimiseOnnxError):
    """An operator or attribute outside what is implemented, under ``--strict``."""

    exit_code = 6


class PreconditionError(OptimiseOnnxError):
    """An edit that would leave a tensor ragged, empty or misaligned."""


class LoweringError(OptimiseOnnxError):
    """A backend cannot express the graph."""

    exit_code = 6


class UnloadableError(InvalidModelError):
    """The runtime refuses a graph before it runs: a user's, or, as :mod:`tools.blame` finds out, one of ours."""


class PassError(OptimiseOnnxError):
    """A pass broke its promise: our bug."""
