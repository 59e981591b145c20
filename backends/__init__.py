"""Backends: run a graph, or lower it to a device's own form."""

from .. import __name__ as _root  # refuses a bare import  # noqa: F401
