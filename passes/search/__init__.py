"""Propose, carry out, measure, and keep the best: the only room that runs one pipeline several times."""
