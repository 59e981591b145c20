"""Tier 3, hardware made and measured here: Verilog of a network, its cycles by simulation, its area by synthesis."""
