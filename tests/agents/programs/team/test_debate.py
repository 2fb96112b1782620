"""`team` where the search is not sure: other passages object, the model picks twice, and the trace holds it all."""

import json
from dataclasses import replace

import pytest

from agents.reading.confidence import HARD
from agents.runtime import Agents
from infra.cli.render_trace import tree_lines
from infra.evaluation.trace import trace
from tests.agents.conftest import Names, Reply, passage

QUESTION = "How long is the Oder?"
PLAN = json.dumps({"tasks": [{"id": "oder", "role": "researcher", "question": QUESTION, "needs": []}]})


def found(name, text, probability):
    return replace(passage(name, text), probability=probability)


RUMOUR = found("Rumour", "The Oder is 9 km long, they say.", 0.45)
ATLAS = found("Atlas", "The Oder is 866 km long.", 0.4)
ALMANAC = found("Almanac", "Length of the Oder: 866 km", 0.3)


@pytest.fixture
async def ask_team(deps, ask, programs):
    made = []

    async def ask_team(*passages, **more):
        made.append(Agents(replace(deps, retriever=Names(passages))))
        return await ask(QUESTION, agents=made[-1], program="team", **more)

    yield ask_team
    for agents in made:
        await agents.aclose()


def calls(answer):
    return [(step.agent, step.output) for step in answer.steps if step.kind == "chat"]


def debates_of(answer):
    return [step.output for step in answer.steps if step.kind == "note" and step.query.startswith("debate ")]


async def test_where_both_rounds_pick_the_same_it_stands_whatever_was_likelier(model, ask_team, settings):
    model.says(PLAN, "9 km", "866 km", "866 km", "2", "1")

    answer = await ask_team(RUMOUR, ATLAS, ALMANAC)

    assert (answer.status, answer.answer) == ("answered", "866 km")
    assert [(citation.doc_id, citation.quote) for citation in answer.citations] == [("Atlas", "866 km")]
    assert debates_of(answer) == [
        "'866 km' stands: both rounds picked it. "
        "Rivals: '9 km' says Rumour (0.45); '866 km' says Atlas (0.40). Picks: '866 km', '866 km'"
    ]
    first, second = (asked["messages"][-1]["content"] for asked in model.asked[-2:])
    assert "1. 9 km: The Oder is 9 km long, they say.\n2. 866 km: The Oder is 866 km long.\n" in first
    assert "1. 866 km: The Oder is 866 km long.\n2. 9 km: " in second
    assert model.asked[-1]["structured_outputs"] == {"choice": ["1", "2"]}
    (decided,) = [step for step in answer.steps if (step.kind, step.agent) == ("tool", "debate")]
    assert (decided.query, decided.output) == ("oder: 2 rival answers", "866 km")
    (line,) = [line for line in tree_lines(trace(settings, answer.task_id)) if "execute_tool" in line]
    assert line.endswith("! Disagreement: 2 rival answers; answer 2 stands: both rounds picked it")
    assert "km" not in line  # a record outlives the document
    assert answer.rests_on() == {"Rumour#0", "Atlas#0", "Almanac#0"}  # decides who may remember the answer


async def test_where_the_likeliest_is_picked_it_stands_and_nothing_more_is_asked(model, ask_team):
    model.says(PLAN, "9 km", "866 km", "1")

    answer = await ask_team(RUMOUR, ATLAS)

    assert (answer.status, answer.answer) == ("answered", "9 km")
    assert "'9 km' stands: it is the likeliest, and was picked" in debates_of(answer)[0]
    assert len(model.asked) == 4


@pytest.mark.parametrize("picks", [["2", "2"], ["2", "9 km"], ["no number"], [""]])
async def test_unless_two_rounds_agree_the_likeliest_stands(model, ask_team, picks):
    model.says(PLAN, "9 km", "866 km", *picks)

    answer = await ask_team(RUMOUR, ATLAS)

    assert (answer.status, answer.answer) == ("answered", "9 km")
    assert "'9 km' stands: the rounds did not agree, it is the likeliest" in debates_of(answer)[0]
    assert len(model.asked) == 3 + len(picks)  # after a reply without a number no two picks can agree


async def test_three_rivals_at_most_and_the_unlikely_do_not_object(model, ask_team):
    model.says(PLAN, "9 km", "866 km", "a day", "2", "2")
    three = await ask_team(RUMOUR, ATLAS, found("Guide", "It is a day by boat.", 0.2), found("More", "5 km", 0.2))
    assert three.answer == "866 km"
    assert debates_of(three)[0].count(" says ") == 3

    model.says(PLAN, "9 km")
    unlikely = await ask_team(RUMOUR, found("Atlas", ATLAS.text, 0.001))
    assert (unlikely.answer, debates_of(unlikely)) == ("9 km", [])


async def test_those_that_say_the_same_hold_no_debate(model, ask_team):
    model.says(PLAN, "866 km", "866 km", "none")

    answer = await ask_team(ATLAS, ALMANAC, found("Other", "Nothing of rivers.", 0.2))

    assert (answer.answer, debates_of(answer)) == ("866 km", [])
    assert [agent for agent, _ in calls(answer)] == ["plan_tasks", "read", "read", "read"]


@pytest.mark.parametrize("probability", [HARD, 0.99, None])
async def test_an_easy_question_is_answered_by_the_same_calls_as_ever(model, ask_team, probability):
    """Without a probability a question counts as easy."""
    model.says(PLAN, "9 km")

    answer = await ask_team(replace(RUMOUR, probability=probability), ATLAS, ALMANAC)

    assert (answer.answer, debates_of(answer)) == ("9 km", [])
    assert calls(answer) == [("plan_tasks", PLAN), ("read", "9 km")]


async def test_under_a_quorum_documents_vote_and_nothing_is_debated(model, ask_team):
    model.says(PLAN, "9 km", "866 km", "866 km")

    answer = await ask_team(RUMOUR, ATLAS, ALMANAC, quorum=2)

    assert (answer.answer, debates_of(answer)) == ("866 km", [])
    assert "debate" not in [agent for agent, _ in calls(answer)]


@pytest.mark.parametrize("max_calls", [2, 3, 4])
async def test_a_budget_that_ends_in_a_debate_leaves_the_first_answer_standing(model, ask_team, max_calls):
    model.says(PLAN, "9 km", "866 km", "2", "1")

    answer = await ask_team(RUMOUR, ATLAS, max_calls=max_calls)

    assert (answer.status, answer.answer) == ("partial", "9 km")
    assert answer.reason == f"max_calls={max_calls}: the task made {max_calls} model calls"
    assert [citation.doc_id for citation in answer.citations] == ["Rumour"]


async def test_what_needs_a_debated_finding_goes_on_with_the_one_that_stands(model, ask_team):
    wide = {"id": "more", "role": "researcher", "question": "What is {oder} long?", "needs": ["oder"]}
    plan = json.dumps({"tasks": [*json.loads(PLAN)["tasks"], wide]})
    model.says(plan, "9 km", "866 km", "2", "1", "Oder", "Oder", "complete")

    answer = await ask_team(RUMOUR, ATLAS)

    assert [step.query for step in answer.steps if step.kind == "search"] == [QUESTION, "What is 866 km long?"]
    assert answer.answer == "Oder"
    assert len(debates_of(answer)) == 1  # the second look-up is as hard, but all facts are equal


async def test_a_debate_is_streamed_as_it_comes(model, ask_team):
    model.says(PLAN, "9 km", "866 km", "2", Reply("1"))
    seen = []

    await ask_team(RUMOUR, ATLAS, on_event=lambda event: seen.append(event))

    notes = [event.data["query"] for event in seen if event.kind == "step" and event.data["kind"] == "note"]
    assert notes == ["plan _plan v1", "debate oder.debate v1", "finding oder v1"]
