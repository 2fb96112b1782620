"""The gateway as the command line uses it: `/search` and `/ask` over HTTP, with the operator key.

The command line is one more client of the public interface, so what it shows is what an app team gets.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import httpx

from infra.stack.secret_files import operator_key
from lakehouse.errors import (
    BudgetExceeded,
    InvalidInput,
    LakehopError,
    NotAllowed,
    NotAuthenticated,
    NotBuiltYet,
    NotFound,
    Unavailable,
)
from lakehouse.settings import Settings

ERRORS: dict[int, type[LakehopError]] = {
    400: InvalidInput,
    401: NotAuthenticated,
    402: BudgetExceeded,
    403: NotAllowed,
    404: NotFound,
    413: InvalidInput,
    422: InvalidInput,
    501: NotBuiltYet,
}
HOPELESS = (NotAuthenticated, NotAllowed, NotBuiltYet, NotFound)
"""Of a run of requests: the next one would fail in the same way."""
AT_ONCE = 2  # enough to keep one model replica busy; more would measure its queue
MARGIN_S = 30.0  # beyond the task's own time cap: the gateway ends it, the client must not cut it off first
T = TypeVar("T")
R = TypeVar("R")


class GatewayClient:
    """Calls the gateway of `settings`; each method returns the JSON document of the HTTP interface."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def search(self, question: str, tenant: str, groups: list[str], k: int, mode: str) -> dict[str, Any]:
        """`POST /search`."""
        body = {"question": question, "tenant": tenant, "groups": groups, "k": k, "mode": mode}
        return self._post("/search", body, self._settings.search_seconds + MARGIN_S)

    def ask(self, question: str, tenant: str, groups: list[str], **options: Any) -> dict[str, Any]:
        """`POST /ask`; `options`: the other fields of its body. One that is None is left to the gateway."""
        given = {
            name: str(value) if name == "max_usd" else value for name, value in options.items() if value is not None
        }
        seconds = float(given.get("max_seconds") or self._settings.task_max_seconds)
        return self._post(
            "/ask", {"question": question, "tenant": tenant, "groups": groups, **given}, seconds + MARGIN_S
        )

    def judge(self, question: str, tenant: str, groups: list[str], answer: str, evidence: list[str]) -> dict[str, Any]:
        """`POST /judge`."""
        body = {"question": question, "tenant": tenant, "groups": groups, "answer": answer, "evidence": evidence}
        return self._post("/judge", body, self._settings.task_max_seconds + MARGIN_S)

    def _post(self, path: str, body: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {operator_key(self._settings)}"}
        try:
            answer = httpx.post(self._settings.gateway_url + path, json=body, headers=headers, timeout=timeout_s)
        except httpx.TimeoutException:
            raise Unavailable("gateway", f"gateway: no answer to {path} within {timeout_s:.0f} s.") from None
        except httpx.HTTPError as error:
            raise Unavailable(
                "gateway",
                f"gateway at {self._settings.gateway_url} does not answer ({error}). "
                "`lakehop status` shows the parts, `lakehop up` starts them.",
            ) from None
        if answer.is_success:
            document: dict[str, Any] = answer.json()
            return document
        raise _error(answer)


def _error(answer: httpx.Response) -> LakehopError:
    """The problem document as one of our errors; its detail is fit to be shown as it is."""
    try:
        problem = answer.json()
        text = problem.get("detail") or problem.get("title") or answer.text
    except ValueError:
        problem, text = {}, answer.text[:300] or f"the gateway answered {answer.status_code} and said nothing."
    if answer.status_code == 503:
        return Unavailable(problem.get("part", "gateway"), text)
    return ERRORS.get(answer.status_code, LakehopError)(text)


def each[T, R](ask: Callable[[T], R], of: Iterable[T]) -> list[R]:
    """What `ask` gives for each, in order, two at a time; where it raises or is interrupted, no other is asked."""
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        return list(pool.map(ask, of))
    finally:
        pool.shutdown(cancel_futures=True)
