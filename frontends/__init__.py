"""Front ends: read models and calibration data."""

from .. import __name__ as _root  # refuses a bare import  # noqa: F401
