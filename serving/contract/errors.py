"""Errors that only the HTTP contract raises."""

from lakehouse.errors import InvalidInput, LakehopError


class StillRunning(LakehopError):
    """The first call with this Idempotency-Key still runs (HTTP 409)."""


class KeyReused(InvalidInput):
    """An Idempotency-Key was sent again with another body (HTTP 422)."""
