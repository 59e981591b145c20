"""Gradients of ONNX graphs as ONNX graphs: one rule an operator, reverse accumulation, losses.

Reference: Griewank, Walther, "Evaluating derivatives", SIAM 2008 (reverse mode; the adjoint of every operator).
"""
