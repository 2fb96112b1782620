"""Style and history of a question: their bounds, and that every way to ask passes them on."""

import subprocess
import sys

import pytest

from agents.answer import Turn
from lakehouse.storage import delta
from lakehouse.tables import CHUNKS
from serving.contract.bodies import AskBody
from tests.lakehouse.retrieval.test_whole_documents import chunk
from tests.serving.conftest import ANSWER
from tests.serving.http.test_app import QUESTION, problem

TURN = {"question": "Who wrote Jinja2?", "answer": "Armin Ronacher"}
CONVERSATION = QUESTION | {"style": "steps", "history": [TURN, TURN | {"answer": ""}]}


@pytest.mark.parametrize("path", ["/ask", "/ask/stream"])
async def test_style_and_history_reach_the_program(gateway, path):
    await gateway.http.post(path, json=CONVERSATION, headers=gateway.key())

    (asked,) = gateway.agents.asked
    assert asked["style"] == "steps"
    assert asked["history"] == (Turn(**TURN), Turn(question=TURN["question"], answer=""))


async def test_two_hundred_turns_are_taken(gateway):
    await gateway.http.post("/ask", json=QUESTION | {"history": [TURN] * 200}, headers=gateway.key())

    assert len(gateway.agents.asked[0]["history"]) == 200


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (
            {"style": "essay"},
            "style='essay': Input should be 'fact', 'yes_no', 'number', 'list', 'steps', 'explanation'",
        ),
        ({"history": [TURN] * 201}, "List should have at most 200 items after validation, not 201. The conversation"),
        ({"history": "?"}, "history='?': Input should be a valid list. The conversation before the question, oldest"),
        ({"history": [{"question": "?"}]}, "history.0.answer: missing. The conversation before the question"),
        ({"history": [TURN | {"question": " "}]}, "history.0.question=' ': String should have at least 1 character"),
        ({"history": [TURN | {"question": "x" * 8_001}]}, "(8,001 characters): String should have at most 8000"),
        ({"history": [TURN | {"answer": "x" * 32_001}]}, "(32,001 characters): String should have at most 32000"),
        ({"history": [TURN | {"answr": "?"}]}, "history.0.answr: not a field. Did you mean answer?"),
        ({"history": [TURN | {"role": "user"}]}, "history.0.role: not a field. Known: question, answer."),
    ],
)
async def test_a_wrong_style_or_history_is_told_what_is_allowed(gateway, fields, says):
    response = await gateway.http.post("/ask", json=QUESTION | fields, headers=gateway.key())

    assert says in problem(response, 400, "invalid-input")
    assert gateway.agents.asked == []


@pytest.mark.parametrize("fields", [{"style": "list"}, {"history": [TURN]}])
@pytest.mark.parametrize("path", ["/ask", "/tasks"])
async def test_a_program_that_would_ignore_them_refuses_them_before_money_is_held(gateway, path, fields):
    key = gateway.key(daily_usd="0.0000001")  # with money held first, this would be a 402
    response = await gateway.http.post(path, json=QUESTION | {"program": "react"} | fields, headers=key)

    (name,) = fields
    assert f"{name}: program 'react' does not use it, multihop does" in problem(response, 400, "invalid-input")


async def test_a_retry_with_another_history_is_another_question(gateway):
    key = gateway.key() | {"Idempotency-Key": "a"}
    first = await gateway.http.post("/ask", json=CONVERSATION, headers=key)
    again = await gateway.http.post("/ask", json=CONVERSATION, headers=key)
    other = await gateway.http.post("/ask", json=CONVERSATION | {"history": [TURN]}, headers=key)

    assert (first.json(), again.json(), len(gateway.agents.asked)) == (ANSWER, ANSWER, 1)
    assert problem(other, 422, "idempotency-key-reused")


@pytest.mark.parametrize(("understood", "kept"), [(None, 1), ("Under which licence is Jinja2?", 0)])
async def test_an_answer_that_earlier_turns_are_part_of_is_not_remembered(gateway, monkeypatch, understood, kept):
    """Nobody knows who may read those turns, and an entry is shown only to those who may read all it rests on."""
    settings = gateway.services.settings
    delta.ensure_tables(settings)
    delta.upsert(settings, CHUNKS, [chunk("acme", "jinja2", 0, "") | {"chunk_id": "c1"}])
    monkeypatch.setitem(ANSWER, "question", understood)

    body = {"question": "And under which licence?", "history": [TURN], "user": "ann", "remember": True}
    key = gateway.key()
    answer = (await gateway.http.post("/ask", json=body, headers=key)).json()

    entries = (await gateway.http.get("/memory?user=ann", headers=key)).json()["entries"]
    assert (len(entries), answer["memory_id"] is not None) == (kept, bool(kept))


def test_a_retry_matches_a_body_that_an_earlier_release_stored():
    stored = (
        '{"question":"?","tenant":null,"groups":null,"user":null,"filters":null,"program":null,"max_usd":null,'
        '"max_seconds":null,"quorum":1,"remember":false,"memory":false}'
    )

    assert AskBody(question="?").identity() == AskBody(question="?", history=[], style=None).identity() == stored
    assert "steps" in AskBody(question="?", style="steps").identity()


def test_the_supervisor_of_the_gateway_loads_no_heavy_module():
    heavy = "import serving.gateway, sys; print({'dspy', 'torch', 'pymilvus'} & sys.modules.keys())"
    loaded = subprocess.run([sys.executable, "-c", heavy], check=True, capture_output=True, text=True).stdout

    assert loaded.strip() == "set()"
