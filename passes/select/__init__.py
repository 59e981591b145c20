"""Selection: which channels go first, and carrying the choice out."""
