"""/ask/stream: events in order, one final event, no task that outlives its client."""

import asyncio
import json
from decimal import Decimal

from agents.answer import Event
from lakehouse.errors import Unavailable
from tests.serving.conftest import ANSWER, EVENTS

QUESTION = {"question": "Which licence has Jinja2?"}


def events_of(text):
    """The stream as (event, data) pairs."""
    pairs = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            pairs.append((lines["event"], json.loads(lines["data"])))
    return pairs


class Client:
    """An ASGI client: reads bytes as they come, and can hang up."""

    def __init__(self, gateway, body, headers, path="/ask/stream"):
        self.received, self.status = "", None
        self.answered, self._news, self._gone = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._body = json.dumps(body).encode()
        sent = {"content-type": "application/json"} | {name.lower(): value for name, value in headers.items()}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
            "client": ("127.0.0.1", 1),
            "server": ("gateway", 80),
        }
        self.call = asyncio.ensure_future(gateway.api(scope, self._receive, self._send))

    async def _receive(self):
        if self._body:
            body, self._body = self._body, b""
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message):
        self.status = message.get("status", self.status)
        self.received += message.get("body", b"").decode()
        self.answered.set()
        self._news.set()

    async def until(self, text):
        """Wait until a text has arrived."""
        async with asyncio.timeout(10):
            while text not in self.received:
                self._news.clear()
                await self._news.wait()

    async def hang_up(self):
        """Hang up, and wait until the gateway has noticed."""
        self._gone.set()
        await asyncio.wait_for(self.call, 10)


async def test_the_stream_shows_what_happens_and_ends_with_the_answer(gateway):
    response = await gateway.http.post("/ask/stream", json=QUESTION, headers=gateway.key())

    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert events_of(response.text) == [*EVENTS, ("done", ANSWER)]


async def test_events_come_when_they_happen(gateway):
    gateway.agents.gate = asyncio.Event()
    client = Client(gateway, QUESTION, gateway.key())
    await client.until("event: usage")

    assert "event: done" not in client.received
    gateway.agents.gate.set()
    await client.until("event: done")
    await asyncio.wait_for(client.call, 10)


async def test_a_failure_after_the_first_event_is_an_error_event(gateway):
    gateway.agents.error = Unavailable("vllm", "the model endpoint does not answer.")
    response = await gateway.http.post("/ask/stream", json=QUESTION, headers=gateway.key())

    assert response.status_code == 200
    assert [event for event, _ in events_of(response.text)] == [*(event for event, _ in EVENTS), "error"]
    assert events_of(response.text)[-1][1] == {
        "type": "urn:lakehop:problem:unavailable",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "the model endpoint does not answer.",
        "part": "vllm",
    }


async def test_a_bug_in_a_stream_shows_an_id_only(gateway):
    gateway.agents.error = RuntimeError("password=hunter2")
    response = await gateway.http.post("/ask/stream", json=QUESTION, headers=gateway.key())

    assert "hunter2" not in response.text
    assert events_of(response.text)[-1][1]["id"].startswith("err_")


async def test_a_spent_day_is_402_and_no_stream(gateway):
    key = gateway.key(daily_usd="0.021")
    await gateway.http.post("/ask/stream", json=QUESTION, headers=key)
    response = await gateway.http.post("/ask/stream", json=QUESTION, headers=key)

    assert response.status_code == 402
    assert response.json()["type"] == "urn:lakehop:problem:budget-exceeded"


async def test_a_silent_stream_is_kept_alive(gateway, monkeypatch):
    monkeypatch.setattr("serving.http.streaming.KEEP_ALIVE_S", 0.05)
    gateway.agents.gate = asyncio.Event()
    client = Client(gateway, QUESTION, gateway.key())
    await client.until(": keep-alive\n\n: keep-alive\n\n")

    gateway.agents.gate.set()
    await client.until("event: done")


async def test_a_stream_begins_after_a_moment_though_nothing_has_happened(gateway, monkeypatch):
    monkeypatch.setattr("serving.http.streaming.FIRST_EVENT_S", 0.05)
    gateway.agents.events, gateway.agents.gate = [], asyncio.Event()
    client = Client(gateway, QUESTION, gateway.key())
    await asyncio.wait_for(client.answered.wait(), 10)

    assert client.status == 200
    gateway.agents.gate.set()
    await client.until("event: done")


async def test_a_client_that_leaves_stops_its_task_and_pays_what_it_had_spent(gateway):
    gateway.agents.gate = asyncio.Event()
    client = Client(gateway, QUESTION, gateway.key(daily_usd="1"))
    await client.until("event: usage")
    await client.hang_up()
    await gateway.tasks.stop_all()

    spend = gateway.ledger.today(gateway.key_id())
    assert gateway.agents.cancelled == 1
    assert (spend.spent_usd, spend.reserved_usd) == (Decimal("0.02"), Decimal(0))


async def test_a_client_that_leaves_before_the_first_event_stops_its_task_too(gateway, monkeypatch):
    monkeypatch.setattr("serving.http.streaming.FIRST_EVENT_S", 0.2)
    gateway.agents.events, gateway.agents.gate = [], asyncio.Event()
    client = Client(gateway, QUESTION, gateway.key())
    await asyncio.wait_for(gateway.agents.told.wait(), 10)
    await client.hang_up()
    await gateway.tasks.stop_all()

    assert gateway.agents.cancelled == 1


async def test_a_client_that_leaves_a_plain_question_stops_its_task_too(gateway):
    gateway.agents.gate = asyncio.Event()
    client = Client(gateway, QUESTION, gateway.key(), path="/ask")
    await asyncio.wait_for(gateway.agents.told.wait(), 10)
    await client.hang_up()
    await gateway.tasks.stop_all()

    assert (client.status, gateway.agents.cancelled) == (499, 1)
    assert gateway.ledger.spent_today(gateway.key_id()) == Decimal("0.02")


async def test_a_task_under_an_idempotency_key_outlives_its_client(gateway):
    gateway.agents.gate = asyncio.Event()
    headers = gateway.key() | {"Idempotency-Key": "5a6b"}
    client = Client(gateway, QUESTION, headers)
    await client.until("event: usage")
    await client.hang_up()
    gateway.agents.gate.set()
    for _ in range(500):
        again = await gateway.http.post("/ask", json=QUESTION, headers=headers)
        if again.status_code != 409:
            break
        await asyncio.sleep(0.02)

    assert (again.json(), gateway.agents.cancelled, len(gateway.agents.asked)) == (ANSWER, 0, 1)


async def test_what_a_running_task_spends_shows_at_once(gateway):
    gateway.agents.gate = asyncio.Event()
    client = Client(gateway, QUESTION, gateway.key(daily_usd="1"))
    await client.until("event: usage")
    spend = gateway.ledger.today(gateway.key_id())
    gateway.agents.gate.set()
    await client.until("event: done")

    assert (spend.spent_usd, spend.reserved_usd) == (Decimal("0.02"), Decimal("0.08"))


async def test_a_task_that_overruns_its_own_time_cap_is_ended(gateway, monkeypatch):
    monkeypatch.setattr("serving.tasks.paid.OVERRUN_S", 0)
    gateway.agents.gate = asyncio.Event()
    response = await gateway.http.post("/ask", json=QUESTION | {"max_seconds": 0.2}, headers=gateway.key())

    assert (response.status_code, gateway.agents.cancelled) == (500, 1)
    assert gateway.ledger.spent_today(gateway.key_id()) == Decimal("0.02")


async def test_a_gateway_that_stops_ends_its_streams_with_an_error(gateway):
    gateway.agents.gate = asyncio.Event()
    client = Client(gateway, QUESTION, gateway.key(daily_usd="1"))
    await client.until("event: usage")
    await gateway.tasks.stop_all()
    await client.until("event: error")

    assert events_of(client.received)[-1][1]["part"] == "gateway"
    assert gateway.ledger.spent_today(gateway.key_id()) == Decimal("0.02")


async def test_line_breaks_in_text_do_not_break_the_stream(gateway):
    text = "one\n\nevent: done\ndata: {}\r\ntwo\u2028three"
    gateway.agents.events = [Event("token", {"text": text})]
    response = await gateway.http.post("/ask/stream", json=QUESTION, headers=gateway.key())

    assert events_of(response.text) == [("token", {"text": text}), ("done", ANSWER)]
