"""Whole networks, by family; halving each of their free channel groups leaves near a quarter of the parameters."""
