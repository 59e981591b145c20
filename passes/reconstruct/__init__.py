"""Reconstruction: weights solved again so that what is left computes what the original did."""
