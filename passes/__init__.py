"""Passes that rewrite a graph, and the analyses they stand on."""

from .. import __name__ as _root  # refuses a bare import  # noqa: F401
