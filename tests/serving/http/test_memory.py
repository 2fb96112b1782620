"""/memory over HTTP: notes are stored, read, rewritten, forgotten; and hidden from other users, apps and tenants."""

import pytest

from lakehouse.storage.delta import ensure_tables
from tests.serving.http.test_app import problem

NOTE = {"user": "ann", "text": "I work on Orion."}


@pytest.fixture(autouse=True)
def tables(gateway):
    ensure_tables(gateway.api.state.services.settings)


@pytest.fixture
def texts(gateway):
    async def read(key, **query):
        response = await gateway.http.get("/memory", params={"user": "ann"} | query, headers=key)
        return [entry["text"] for entry in response.json()["entries"]]

    return read


async def test_a_note_is_kept_read_written_anew_and_forgotten(gateway, texts):
    key = gateway.key()
    made = await gateway.http.post("/memory", json=NOTE, headers=key)
    entry = made.json()
    path, body = f"/memory/{entry['memory_id']}", {"user": "ann", "text": "I work on Vega."}
    assert (made.status_code, entry["kind"], entry["version"], entry["doc_ids"]) == (201, "note", 1, [])
    assert await texts(key) == ["I work on Orion."]

    again = await gateway.http.put(path, json=body | {"read_version": 1}, headers=key)
    stale = await gateway.http.put(path, json=body | {"read_version": 1}, headers=key)
    assert (again.status_code, again.json()["version"]) == (200, 2)
    assert "version 1 was read, and it was written since" in problem(stale, 409, "stale-write")
    assert "retry-after" not in stale.headers
    assert await texts(key) == ["I work on Vega."]

    gone = await gateway.http.delete(path, params={"user": "ann"}, headers=key)
    assert (gone.status_code, gone.json()["entries"], gone.json()["rows_left"]) == (200, 1, 0)
    assert await texts(key) == []
    none = await gateway.http.delete(path, params={"user": "ann"}, headers=key)
    assert "this user has none of that id" in problem(none, 404, "not-found")


async def test_another_user_app_or_tenant_has_none_of_it(gateway, texts):
    key, other_tenant = gateway.key(), gateway.key(tenant="other")
    _, secret = gateway.ledger.create_key("acme", ("staff",), "hr-bot", None)
    other_app = {"Authorization": f"Bearer {secret}"}
    await gateway.http.post("/memory", json=NOTE, headers=key)

    assert await texts(key, user="bob") == []
    assert await texts(other_tenant) == []
    assert await texts(other_app) == []
    for stranger in (other_tenant, other_app):
        assert (await gateway.http.delete("/memory?user=ann", headers=stranger)).json()["entries"] == 0
    refused = await gateway.http.get("/memory?user=ann&tenant=acme", headers=other_tenant)
    assert problem(refused, 403, "not-allowed")
    assert await texts(key) == ["I work on Orion."]
    assert (await gateway.http.delete("/memory?user=ann", headers=key)).json()["entries"] == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "says"),
    [
        ("GET", "/memory", None, "user: missing. The user, by the app's id."),
        ("POST", "/memory", {"text": "x"}, "user: missing. The user, by the app's id."),
        ("POST", "/memory", NOTE | {"text": " "}, "text '': must have 1 to 2,000 characters. Shorten it."),
        ("POST", "/memory", NOTE | {"text": "x" * 2_001}, "must have 1 to 2,000 characters"),
        ("POST", "/memory", NOTE | {"kind": "answer"}, "kind: not a field"),
        ("PUT", "/memory/mem_1", NOTE, "read_version: missing. The version that was read"),
        ("POST", "/ask", {"question": "?", "remember": True}, "user: missing. Memory is a user's"),
    ],
)
async def test_what_cannot_be_served_is_told(gateway, method, path, body, says):
    response = await gateway.http.request(method, path, json=body, headers=gateway.key())

    assert says in problem(response, 400, "invalid-input")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_without_a_key_there_is_no_memory(gateway, method):
    response = await gateway.http.request(method, "/memory?user=ann", json=NOTE if method == "POST" else None)

    assert problem(response, 401, "not-authenticated")
