"""The local stack: parts, processes, models."""
