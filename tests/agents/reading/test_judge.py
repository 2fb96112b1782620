"""The judge of answers: its prompt, its judgements, and its cost."""

from decimal import Decimal

import pytest

from agents.task.budget import Limits
from tests.agents.conftest import CALLER, USD, Reply

BODY = {
    "question": "How long is the Warta?",
    "answer": "808 km",
    "evidence": ["Warta: The Warta springs in Kromołów and is 808 km long.", "Oder: The Oder is long."],
}


@pytest.fixture
def judge(served):
    async def judge(key=None, **changes):
        return await served.http.post("/judge", json=BODY | changes, headers=key or served.key())

    return judge


async def test_it_reads_question_answer_and_evidence_and_says_yes_or_no(judge, model, spooled):
    model.says("no")

    said = (await judge()).json()

    assert (said["supported"], said["reason"], said["usage"]["calls"]) == (False, None, 1)
    (body,) = model.asked
    assert body["structured_outputs"] == {"choice": ["yes", "no"]}
    assert body["messages"][-1]["content"] == (
        f"Evidence: {BODY['evidence'][0]}\n{BODY['evidence'][1]}\nQuestion: {BODY['question']}\nAnswer: 808 km"
    )
    assert [(record.program, record.agent, record.operation, record.usd) for record in spooled()] == [
        ("judge", "judge", "chat", USD),
        ("judge", "judge", "invoke_agent", 0),
    ]
    assert {record.task_id for record in spooled()} == {said["task_id"]}


@pytest.mark.parametrize("garbage", ["maybe", "", "the answer is yes", Reply("ノー")])
async def test_anything_else_is_no_judgement_and_the_record_says_so(judge, model, garbage, spooled):
    model.says(garbage)

    said = (await judge()).json()

    assert (said["supported"], said["reason"]) == (None, "the judge said neither yes nor no")
    assert Decimal(said["usage"]["usd"]) == USD
    assert (spooled()[-1].outcome, spooled()[-1].error) == ("refused", "the judge said neither yes nor no")


async def test_the_key_pays_and_a_key_at_its_cap_gets_no_judge(judge, served, model):
    model.says("yes")
    key = served.key(daily_usd="1")
    assert (await judge(key)).json()["supported"] is True
    usage = (await served.http.get("/usage", headers=key)).json()
    assert (Decimal(usage["spent_usd"]), Decimal(usage["reserved_usd"])) == (USD, 0)

    refused = await judge(served.key(daily_usd="0.0000000001"))
    assert (refused.status_code, len(model.asked)) == (402, 1)


async def test_money_for_no_call_is_no_judgement(agents, model):
    said = await agents.judge("q?", "a", ["e"], CALLER, limits=Limits(Decimal(0), 10), on_event=lambda event: None)
    assert (said.status, model.asked) == ("partial", [])


async def test_a_model_that_is_down_is_unavailable(judge, model):
    model.always_says(Reply("down", status=500))
    assert (await judge()).status_code == 503


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"evidence": []}, "evidence"),
        ({"evidence": ["x" * 4_001]}, "evidence"),
        ({"evidence": ["x"] * 21}, "evidence"),
        ({"answer": ""}, "answer"),
        ({"verdict": "yes"}, "verdict"),
    ],
)
async def test_a_bad_body_is_told_what_is_allowed(judge, changes, says, model):
    refused = await judge(**changes)
    assert (refused.status_code, says in refused.json()["detail"], model.asked) == (400, True, [])
