"""Decomposition: layers as several smaller ones, and kernels with fewer taps or connections."""
