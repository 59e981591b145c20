"""Mutated models: whatever a file holds, a command ends in time and memory, with an exit code and one line."""
