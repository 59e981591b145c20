"""Allocation: how much of each group goes, to meet a cost target."""
