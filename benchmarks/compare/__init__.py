"""Other tools that remove channels, and published methods, beside ours: one run, one table.

    make compare SHARED=../shared          # or: cd benchmarks && python -m compare SHARED OUT

``subjects`` are the networks, ``peers`` the table of methods, ``job`` one of both in a process of its own, ``zoo`` what
each takes at all, ``page`` the section of docs/results.md and its figures.
"""
