"""Errors of the HTTP contract that no other room can raise."""

from lakehouse.errors import InvalidInput, LakehopError


class StillRunning(LakehopError):
    """The first call under this Idempotency-Key has not ended (HTTP 409)."""


class KeyReused(InvalidInput):
    """An Idempotency-Key came back with another body (HTTP 422)."""
