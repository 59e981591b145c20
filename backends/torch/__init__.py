"""Graphs on PyTorch, an optional extra that is imported where it is used: tuning on a GPU."""
