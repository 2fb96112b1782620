"""Errors that users see. A class says who has to act; a message names the value, what is allowed, and the next step.

Serving maps each class to one HTTP status, the command line to one exit code. Every class pickles, because errors
cross processes.
"""


class LakehopError(Exception):
    """Base of every error that Lakehop raises on purpose; its text may be shown to users."""


class InvalidInput(LakehopError):
    """The caller sent a value that is not allowed (HTTP 400, exit code 2)."""


class SettingsError(InvalidInput):
    """A setting has a bad value, or a required one is missing."""


class NotAuthenticated(LakehopError):
    """The API key is missing, unknown or revoked (HTTP 401)."""


class NotAllowed(LakehopError):
    """The API key is valid and does not permit the request (HTTP 403)."""


class NotFound(LakehopError):
    """The named tenant, document, key or run does not exist (HTTP 404)."""


class StaleWrite(LakehopError):
    """Another writer changed the entry after it was read (HTTP 409)."""


class BudgetExceeded(LakehopError):
    """A spend cap is reached (HTTP 402)."""


class Unavailable(LakehopError):
    """A part of the stack does not answer (HTTP 503); `part` is its name in `lakehop status`."""

    def __init__(self, part: str, message: str) -> None:
        super().__init__(message)
        self.part = part

    def __reduce__(self) -> tuple[type["Unavailable"], tuple[str, str]]:
        return (type(self), (self.part, str(self)))


class NotBuiltYet(LakehopError):
    """The command or mode is documented and not available in this version (HTTP 501, exit code 1)."""
