"""Idempotency-Key: one key and body, one task, one bill."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from lakehouse.errors import Unavailable
from serving.contract.errors import KeyReused, StillRunning
from serving.tasks.idempotency import KEPT_S, StoredAnswers
from tests.serving.conftest import ANSWER

QUESTION = {"question": "Which licence has Jinja2?"}
ONCE = {"Idempotency-Key": "5a6b"}


async def test_a_retry_gets_the_same_answer_unpaid(gateway):
    headers = gateway.key() | ONCE
    first = await gateway.http.post("/ask", json=QUESTION, headers=headers)
    again = await gateway.http.post("/ask", json=QUESTION, headers=headers)

    assert first.json() == ANSWER
    assert again.content == first.content
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
    assert len(gateway.agents.asked) == 1
    assert gateway.ledger.spent_today(gateway.key_id()) == Decimal("0.02")


async def test_the_same_body_written_otherwise_is_the_same_question(gateway):
    headers = gateway.key() | ONCE | {"Content-Type": "application/json"}
    await gateway.http.post("/ask", json=QUESTION | {"max_usd": "0.01"}, headers=headers)
    again = await gateway.http.post(
        "/ask", content=b'{"max_usd":0.01, "question":" Which licence has Jinja2? "}', headers=headers
    )

    assert again.headers["idempotent-replayed"] == "true"


async def test_another_body_under_the_same_key_is_refused(gateway):
    headers = gateway.key() | ONCE
    await gateway.http.post("/ask", json=QUESTION, headers=headers)
    response = await gateway.http.post("/ask", json={"question": "Another?"}, headers=headers)

    assert response.status_code == 422
    assert response.json()["type"] == "urn:lakehop:problem:idempotency-key-reused"
    assert "A retry repeats the body" in response.json()["detail"]


async def test_another_api_key_has_its_own_idempotency_keys(gateway):
    for _ in range(2):
        await gateway.http.post("/ask", json=QUESTION, headers=gateway.key() | ONCE)

    assert len(gateway.agents.asked) == 2


async def test_a_duplicate_of_a_running_task_is_409(gateway):
    gateway.agents.gate = asyncio.Event()
    headers = gateway.key() | ONCE
    first = asyncio.ensure_future(gateway.http.post("/ask", json=QUESTION, headers=headers))
    await asyncio.wait_for(gateway.agents.told.wait(), 10)
    duplicate = await gateway.http.post("/ask", json=QUESTION, headers=headers)
    gateway.agents.gate.set()

    assert (duplicate.status_code, duplicate.headers["retry-after"]) == (409, "3")
    assert (await first).json() == ANSWER
    assert len(gateway.agents.asked) == 1


async def test_a_failed_task_leaves_the_key_free(gateway):
    headers = gateway.key() | ONCE
    gateway.agents.error = Unavailable("vllm", "gone")
    failed = await gateway.http.post("/ask", json=QUESTION, headers=headers)
    gateway.agents.error = None
    again = await gateway.http.post("/ask", json=QUESTION, headers=headers)

    assert (failed.status_code, again.status_code) == (503, 200)


async def test_a_stream_replays_the_answer_that_was_kept(gateway):
    headers = gateway.key() | ONCE
    await gateway.http.post("/ask/stream", json=QUESTION, headers=headers)
    again = await gateway.http.post("/ask/stream", json=QUESTION, headers=headers)

    assert again.text.startswith("event: done\ndata: {")
    assert len(gateway.agents.asked) == 1


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_a_bad_idempotency_key_is_refused(gateway, key):
    response = await gateway.http.post("/ask", json=QUESTION, headers=gateway.key() | {"Idempotency-Key": key})

    assert response.status_code == 400
    assert "1 to 255 printable characters" in response.json()["detail"]


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def answers(gateway, clock):
    return StoredAnswers(gateway.database, clock=lambda: clock[0])


def test_an_answer_is_kept_for_a_day(answers, clock):
    answers.claim("key_1", "a", "body", 60)
    answers.store("key_1", "a", "answer")
    clock[0] = KEPT_S - 1
    kept = answers.claim("key_1", "a", "body", 60)
    clock[0] = KEPT_S

    assert kept == "answer"
    assert answers.claim("key_1", "a", "another body", 60) is None


def test_the_claim_of_a_killed_process_is_free_again_in_time(answers, clock):
    answers.claim("key_1", "a", "body", 60)
    clock[0] = 59
    with pytest.raises(StillRunning):
        answers.claim("key_1", "a", "body", 60)
    clock[0] = 60

    assert answers.claim("key_1", "a", "body", 60) is None


def test_of_many_claims_at_once_one_runs_the_call(answers):
    def claim(_):
        try:
            return answers.claim("key_1", "a", "body", 60)
        except StillRunning:
            return "runs"

    with ThreadPoolExecutor(8) as threads:
        claims = list(threads.map(claim, range(24)))

    assert sorted(claims, key=str) == [None] + ["runs"] * 23


def test_another_body_is_refused_while_the_first_runs(answers):
    answers.claim("key_1", "a", "body", 60)

    with pytest.raises(KeyReused):
        answers.claim("key_1", "a", "another", 60)


def test_a_release_does_not_take_a_kept_answer(answers):
    answers.claim("key_1", "a", "body", 60)
    answers.store("key_1", "a", "answer")
    answers.release("key_1", "a")

    assert answers.claim("key_1", "a", "body", 60) == "answer"
