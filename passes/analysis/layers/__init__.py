"""Linear layers as matrices, the forms they may take, and how weights are written."""
