"""Tasks of callers: paid, durable, idempotent."""
