"""Multi-hop search: finds the passages that a question needs together, without a model call."""
