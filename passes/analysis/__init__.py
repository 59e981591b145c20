"""Analyses passes stand on: channel labels, groups, removal, statistics of activations, costs over widths."""
