"""Multi-hop search: passages that a question needs together, found without a model call."""
