"""Tier 1: what a network costs as an hls4ml design, from how often its loops run; see docs/hls-cost.md."""
