"""One small network per graph structure that pruning tools get wrong (shared/POST_TRAINING.md, section 3)."""
