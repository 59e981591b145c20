"""Searches for the sets of units that are missed least."""
