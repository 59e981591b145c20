"""Gradient descent on the weights of a whole network, towards the outputs and inner tensors of the original."""
