"""The tests mirror the folders; `tests.zoo` holds the models they share."""
