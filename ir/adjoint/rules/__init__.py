"""Rules by kind of operator; ``..table`` lists them by name."""
