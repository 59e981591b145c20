"""The command line, the report and the benchmarks: they drive all the other parts."""

from .. import __name__ as _root  # refuses a bare import  # noqa: F401
