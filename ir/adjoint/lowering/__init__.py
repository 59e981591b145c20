"""Operators that have no rule of their own, written in others that have one, in graphs of gradients alone."""
