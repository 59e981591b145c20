"""Exact clean-up: fold constants and batch norms, remove dead channels, merge duplicate ones. No output changes."""
