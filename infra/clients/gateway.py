"""The gateway's HTTP interface as the command line uses it, with the operator key.

The command line is a client of the public interface, so it shows what an app team gets.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

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
FATAL = (NotAuthenticated, NotAllowed, NotBuiltYet, NotFound)
"""Errors that every further request of a batch would meet too."""
CONCURRENCY = 2  # keeps one model replica busy; more would measure its queue
MARGIN_S = 30.0  # above the task's time cap: the gateway ends a task, the client must not cut it off before


class GatewayClient:
    """Calls the gateway of `settings`; each method returns the JSON document of the HTTP interface."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def search(
        self, question: str, tenant: str, groups: list[str], k: int, mode: str, **options: Any
    ) -> dict[str, Any]:
        """`POST /search`. `options`: the other fields of its body; None means the gateway's default."""
        body = {"question": question, "tenant": tenant, "groups": groups, "k": k, "mode": mode}
        body |= {name: value for name, value in options.items() if value is not None}
        return self._post("/search", body, self._settings.search_seconds + MARGIN_S)

    def ask(self, question: str, tenant: str, groups: list[str], **options: Any) -> dict[str, Any]:
        """`POST /ask`. `options`: the other fields of its body; None means the gateway's default."""
        fields = {
            name: str(value) if name == "max_usd" else value for name, value in options.items() if value is not None
        }
        seconds = float(fields.get("max_seconds") or self._settings.task_max_seconds)
        return self._post(
            "/ask", {"question": question, "tenant": tenant, "groups": groups, **fields}, seconds + MARGIN_S
        )

    def judge(self, question: str, tenant: str, groups: list[str], answer: str, evidence: list[str]) -> dict[str, Any]:
        """`POST /judge`."""
        body = {"question": question, "tenant": tenant, "groups": groups, "answer": answer, "evidence": evidence}
        return self._post("/judge", body, self._settings.task_max_seconds + MARGIN_S)

    def passage(self, chunk_id: str, tenant: str, groups: list[str], around: int | None = None) -> dict[str, Any]:
        """`GET /passages/{chunk_id}`."""
        query = {"tenant": tenant, "groups": groups} | ({} if around is None else {"around": around})
        path = f"/passages/{quote(chunk_id, safe='')}"
        return self._request("GET", path, self._settings.search_seconds + MARGIN_S, params=query)

    def _post(self, path: str, body: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        return self._request("POST", path, timeout_s, json=body)

    def _request(self, method: str, path: str, timeout_s: float, **options: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {operator_key(self._settings)}"}
        url = self._settings.gateway_url + path
        try:
            response = httpx.request(method, url, headers=headers, timeout=timeout_s, **options)
        except httpx.TimeoutException:
            raise Unavailable("gateway", f"gateway: no answer to {path} within {timeout_s:.0f} s.") from None
        except httpx.HTTPError as error:
            raise Unavailable(
                "gateway",
                f"gateway at {self._settings.gateway_url} does not answer ({error}). "
                "`lakehop status` shows the parts, `lakehop up` starts them.",
            ) from None
        if response.is_success:
            document: dict[str, Any] = response.json()
            return document
        raise _error(response)


def _error(response: httpx.Response) -> LakehopError:
    """The problem document as one of our errors; its detail is written for the user."""
    try:
        problem = response.json()
        text = problem.get("detail") or problem.get("title") or response.text
    except ValueError:
        problem, text = {}, response.text[:300] or f"the gateway sent status {response.status_code} without a text."
    if response.status_code == 503:
        return Unavailable(problem.get("part", "gateway"), text)
    return ERRORS.get(response.status_code, LakehopError)(text)


def map_concurrently[T, R](call: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """`call` of each item, in order, CONCURRENCY at a time. The first exception cancels the calls not yet begun."""
    pool = ThreadPoolExecutor(CONCURRENCY)
    try:
        return list(pool.map(call, items))
    finally:
        pool.shutdown(cancel_futures=True)
