"""What calibration samples tell: moments of what layers read, activations, divergence of outputs."""
