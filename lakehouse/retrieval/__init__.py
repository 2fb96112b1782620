"""From a question to the passages that a caller may read."""
