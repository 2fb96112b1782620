"""/tasks over HTTP: submitted, looked up, hidden from other keys, held under the caps; the agents are scripted.

tests/agents/durable/test_executor.py shows that a task survives its process.
"""

import asyncio

import pytest

from agents.answer import Turn
from agents.durable import executor as durable
from agents.durable.executor import Executor
from lakehouse.errors import NotFound, Unavailable
from serving.tasks.durable import HANDED
from tests.serving.conftest import ANSWER

BODY = {"question": "Which licence has Jinja2?"}


@pytest.fixture
async def executor(gateway, monkeypatch):
    monkeypatch.setattr(durable, "QUEUE_POLL_S", 0.05)
    services = gateway.api.state.services
    executor = Executor(gateway.database, services.durable.work)
    services.durable.attach(executor)
    await executor.start()
    yield executor
    await executor.stop()


@pytest.fixture
def handed_in(gateway, executor):
    """Hands a task in and gives it as it ends."""

    async def hand_in(key, body=BODY, **headers):
        task = (await gateway.http.post("/tasks", json=body, headers=key | headers)).json()
        while task["status"] in ("queued", "running"):
            await asyncio.sleep(0.05)
            task = (await gateway.http.get(f"/tasks/{task['task_id']}", headers=key)).json()
        return task

    return hand_in


async def test_a_task_is_taken_at_once_and_answered_later(gateway, executor, handed_in):
    key = gateway.key()
    gateway.agents.gate = asyncio.Event()

    taken = await gateway.http.post("/tasks", json=BODY | {"program": "team", "quorum": 3}, headers=key)
    assert (taken.status_code, taken.headers["location"]) == (202, f"/tasks/{taken.json()['task_id']}")
    assert taken.json()["question"] == BODY["question"]
    await asyncio.wait_for(gateway.agents.told.wait(), 30)
    running = (await gateway.http.get(taken.headers["location"], headers=key)).json()
    assert (running["status"], running["program"], running["answer"]) == ("running", "team", None)

    gateway.agents.gate.set()
    task = await handed_in(key)
    assert (task["status"], task["answer"], task["problem"]) == ("done", ANSWER, None)
    assert gateway.agents.asked[0]["task_id"] == taken.json()["task_id"]
    assert gateway.agents.asked[0]["quorum"] == 3


async def test_a_task_is_its_keys_and_the_operators_alone(gateway, handed_in):
    own, other, operator = gateway.key(), gateway.key(), gateway.key(operator=True)
    path = f"/tasks/{(await handed_in(own))['task_id']}"

    seen = [(await gateway.http.get(path, headers=key)).status_code for key in (own, other, operator)]
    stopped = [(await gateway.http.post(f"{path}/cancel", headers=key)).status_code for key in (other, own)]
    none = await gateway.http.get("/tasks/task_none", headers=own)

    assert (seen, stopped) == ([200, 404, 200], [404, 200])
    assert (none.status_code, none.json()["type"]) == (404, "urn:lakehop:problem:not-found")
    assert (await gateway.http.get(path, headers=own)).json()["status"] == "done"  # cancelled too late


async def test_a_retry_under_one_idempotency_key_is_the_same_task(gateway, handed_in):
    key = gateway.key(daily_usd="1")
    first = await handed_in(key, **{"Idempotency-Key": "a"})
    again = await handed_in(key, **{"Idempotency-Key": "a"})
    both = await asyncio.gather(*(handed_in(key, **{"Idempotency-Key": "b"}) for _ in range(2)))
    other = await gateway.http.post("/tasks", json={"question": "?"}, headers=key | {"Idempotency-Key": "a"})

    assert (first["task_id"], both[0]["task_id"]) == (again["task_id"], both[1]["task_id"])
    assert len(gateway.agents.asked) == 2
    assert (other.status_code, other.json()["type"]) == (422, "urn:lakehop:problem:idempotency-key-reused")
    assert gateway.ledger.today(gateway.key_id()).reserved_usd == 0


async def test_a_task_keeps_its_style_and_history(gateway, handed_in):
    turn = {"question": "Who wrote Jinja2?", "answer": "Armin Ronacher"}

    await handed_in(gateway.key(), BODY | {"style": "steps", "history": [turn]})

    asked = gateway.agents.asked[0]
    assert (asked["style"], asked["history"]) == ("steps", (Turn(**turn),))


def test_a_task_that_an_earlier_release_stored_still_loads():
    stored = """{"body":"{}","admitted":{"question":"?","caller":{"tenant_id":"acme","groups":["staff"],"app":"wiki",
    "key_id":"key_1","user_id":null},"program":"multihop","max_seconds":120.0,"reservation":{"reservation_id":"r",
    "key_id":"key_1","usd":"0.1","day":"2026-11-03"},"quorum":1,"remember":false,"recall":false,"filters":null}}"""

    admitted = HANDED.validate_json(stored).admitted

    assert (admitted.question, admitted.style, admitted.history) == ("?", None, ())


@pytest.mark.parametrize(("error", "status"), [(Unavailable("vllm", "down"), 503), (NotFound("no tenant"), 404)])
async def test_a_failed_task_tells_its_problem_and_is_charged_what_it_spent(gateway, handed_in, error, status):
    key = gateway.key()
    gateway.agents.error = error

    task = await handed_in(key)

    assert (task["status"], task["answer"], task["problem"]["status"]) == ("failed", None, status)
    assert f"{gateway.ledger.spent_today(gateway.key_id()):f}" == "0.0200000000"


async def test_a_spent_day_is_402_before_a_task_is_taken(gateway, executor):
    key = gateway.key(daily_usd="0.01")

    refused = await gateway.http.post("/tasks", json=BODY | {"max_usd": "0.02"}, headers=key)

    assert (refused.status_code, gateway.agents.asked) == (402, [])
