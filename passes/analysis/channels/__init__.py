"""Which channels are coupled, which are pinned and why, and how to take some out."""
