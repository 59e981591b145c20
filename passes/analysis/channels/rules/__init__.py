"""One rule an operator: what it ties, where atoms are born and end. ``table.RULES`` lists them all."""
