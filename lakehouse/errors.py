"""The errors that a user may see, and whose fault each one is.

A message names the value, what is allowed, and what to do next; a class says who has to act. Serving maps each
class to one HTTP status, the command line to one exit code. Every class pickles, for they cross processes.
"""


class LakehopError(Exception):
    """Base of every error that we raise on purpose; its text is fit to be shown."""


class InvalidInput(LakehopError):
    """The caller sent something that cannot be served as it is (HTTP 400, exit code 2)."""


class SettingsError(InvalidInput):
    """A setting has a bad value, or a required one is missing."""


class NotAuthenticated(LakehopError):
    """No key, or one that is unknown or revoked (HTTP 401)."""


class NotAllowed(LakehopError):
    """The key is good and does not cover what was asked (HTTP 403)."""


class NotFound(LakehopError):
    """The named tenant, document, key or run does not exist (HTTP 404)."""


class StaleWrite(LakehopError):
    """Somebody wrote it since the version that was read (HTTP 409)."""


class BudgetExceeded(LakehopError):
    """A spend cap is reached (HTTP 402)."""


class Unavailable(LakehopError):
    """A part that we depend on does not answer (HTTP 503); `part` names it as `lakehop status` does."""

    def __init__(self, part: str, message: str) -> None:
        super().__init__(message)
        self.part = part

    def __reduce__(self) -> tuple[type["Unavailable"], tuple[str, str]]:
        return (type(self), (self.part, str(self)))


class NotBuiltYet(LakehopError):
    """A documented command or mode that this version does not serve (HTTP 501, exit code 1)."""
