"""Loops that are recurrent cells, written as the operators that they compute."""
