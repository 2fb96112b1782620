"""Every error that a client can get, as an RFC 9457 problem document: wrong value, allowed values, next step.

One table maps our error classes to statuses. Any other error is our bug: a 500 with an id; only the log has the cause.
"""

import difflib
import logging
import reprlib
import secrets
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lakehouse.access.ledger import next_day
from lakehouse.errors import (
    BudgetExceeded,
    InvalidInput,
    LakehopError,
    NotAllowed,
    NotAuthenticated,
    NotBuiltYet,
    NotFound,
    StaleWrite,
    Unavailable,
)
from serving.contract.bodies import FIELDS, FIELDS_INSIDE
from serving.contract.errors import KeyReused, StillRunning

log = logging.getLogger("lakehop.gateway")

# The most specific class wins. The second value ends the problem's `type`, which programs may branch on: keep it.
PROBLEMS: dict[type[LakehopError], tuple[int, str]] = {
    InvalidInput: (400, "invalid-input"),
    NotAuthenticated: (401, "not-authenticated"),
    BudgetExceeded: (402, "budget-exceeded"),
    NotAllowed: (403, "not-allowed"),
    NotFound: (404, "not-found"),
    StillRunning: (409, "still-running"),
    StaleWrite: (409, "stale-write"),
    KeyReused: (422, "idempotency-key-reused"),
    NotBuiltYet: (501, "not-built-yet"),
    Unavailable: (503, "unavailable"),
}
# Errors of the router, before any of our code runs. Empty text: the error has its own text.
ROUTER_PROBLEMS = {
    400: ("invalid-input", "body: not readable. Send one JSON object in UTF-8."),
    404: ("not-found", "no such route. /docs lists all routes."),
    405: ("method-not-allowed", "the route does not take this method. /docs lists its methods."),
    413: ("body-too-large", ""),
}
STILL_RUNNING_RETRY_S = 3
UNAVAILABLE_RETRY_S = 10
# Shortens a refused value: 100 kB need not travel back.
_shorten = reprlib.Repr(maxstring=80, maxother=80, maxlist=4, maxdict=4).repr


class Problem(BaseModel):
    """An RFC 9457 problem document."""

    type: str = Field(examples=["urn:lakehop:problem:budget-exceeded"])
    title: str = Field(examples=["Payment Required"])
    status: int = Field(examples=[402])
    detail: str = Field(description="The wrong value, the allowed values, the next step.")
    part: str | None = Field(None, description="503: the part that does not answer, by its name in `lakehop status`.")
    id: str | None = Field(None, description="500: the gateway's log has the cause under this id.")


def problem_of(error: Exception) -> tuple[Problem, dict[str, str]]:
    """The problem document of an error, and its headers. Logs an unknown error."""
    if isinstance(error, RequestValidationError):
        detail = "\n".join(_explain(field_error) for field_error in error.errors())
        return _problem(400, "invalid-input", detail), {}
    if isinstance(error, HTTPException):
        slug, detail = ROUTER_PROBLEMS.get(error.status_code, ("http-error", ""))
        return _problem(error.status_code, slug, detail or str(error.detail)), dict(error.headers or {})
    status, slug = _row(error)
    if status != 500:
        part = error.part if isinstance(error, Unavailable) else None
        return _problem(status, slug, str(error), part=part), _headers(slug)
    problem_id = "err_" + secrets.token_hex(6)
    log.error("%s: %s", problem_id, error, exc_info=error)
    detail = f"The gateway failed, not your request. Give {problem_id} to its operator."
    return _problem(500, slug, detail, id=problem_id), {}


def kind_of(error: Exception) -> str:
    """The last part of the problem's type, e.g. `budget-exceeded`; metrics count failures by it."""
    return _row(error)[1]


def respond(_: Request, error: Exception) -> JSONResponse:
    """The HTTP response for an error, with the signature of Starlette's exception handlers."""
    problem, headers = problem_of(error)
    return JSONResponse(
        problem.model_dump(exclude_none=True), problem.status, headers, media_type="application/problem+json"
    )


class UnknownErrors:
    """ASGI middleware that answers an unhandled exception, if the response has not started.

    Starlette's own handler answers and raises again, which logs each such error three times.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def note_start(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, note_start)
        except Exception as error:
            if started or scope["type"] != "http":
                raise
            await respond(Request(scope), error)(scope, receive, send)


def _row(error: Exception) -> tuple[int, str]:
    return next((PROBLEMS[kind] for kind in type(error).__mro__ if kind in PROBLEMS), (500, "internal-error"))


def _problem(status: int, slug: str, detail: str, **more: Any) -> Problem:
    title = HTTPStatus(status).phrase
    return Problem(type=f"urn:lakehop:problem:{slug}", title=title, status=status, detail=detail, **more)


def _headers(slug: str) -> dict[str, str]:
    match slug:
        case "not-authenticated":
            return {"WWW-Authenticate": 'Bearer realm="lakehop"'}
        case "budget-exceeded":
            now = datetime.now(UTC)
            return {"Retry-After": str(int((next_day(now) - now).total_seconds()) + 1)}
        case "still-running":
            return {"Retry-After": str(STILL_RUNNING_RETRY_S)}
        case "unavailable":
            return {"Retry-After": str(UNAVAILABLE_RETRY_S)}
    return {}


def _explain(error: dict[str, Any]) -> str:
    """A pydantic error as a sentence: field, value, error, allowed values."""
    place = [str(part) for part in error["loc"][1:]]
    if error["type"] == "json_invalid":
        return f"body: not JSON ({error['ctx']['error']} at character {place[0]}). Send one JSON object."
    if not place:
        return f"body: {error['msg']}. Send one JSON object with Content-Type: application/json."
    name = ".".join(place)
    if error["type"] == "extra_forbidden":
        known = FIELDS_INSIDE.get(place[0], FIELDS) if len(place) > 1 else FIELDS
        near = difflib.get_close_matches(place[-1], known, n=1)
        return f"{name}: not a field. " + (f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known)}.")
    if error["type"] == "missing":
        return f"{name}: missing. {_allowed(place[0])}"
    return f"{name}={_value(error['input'])}: {error['msg']}. {_allowed(place[0])}"


def _value(value: Any) -> str:
    length = f" ({len(value):,} characters)" if isinstance(value, str) and len(value) > 80 else ""
    return _shorten(value) + length


def _allowed(field: str) -> str:
    return (FIELDS[field].description or "") if field in FIELDS else ""
