"""Samples as they lie on disk: one file for every kind of source, and one way to fit them to a model."""
