"""`team` over a scripted model: plans of every kind, findings on the board, answers with citations."""

import json
from dataclasses import replace

import pytest

from agents.answer import NOTHING_FOUND
from agents.programs.team.plan import MAX_SUB_TASKS
from tests.agents.conftest import passage

ODER = passage("Oder", "The Oder is 866 km long.")
WARTA = passage("Warta", "The Warta is 808 km long.")
QUESTION = "How much longer is the Oder than the Warta?"


def sub(id, *needs, role="researcher", question="How long is the Oder?"):
    return {"id": id, "role": role, "question": question, "needs": list(needs)}


def plan(*tasks):
    return json.dumps({"tasks": tasks})


def board_of(answer):
    return [(step.agent, step.query, step.output) for step in answer.steps if step.kind == "note"]


async def test_one_look_up_needs_no_critic(model, ask, index):
    index.passages = [ODER]
    model.says(plan(sub("oder")), "866 km")

    answer = await ask(QUESTION, program="team")

    assert (answer.status, answer.answer, answer.reason) == ("answered", "866 km", None)
    assert [citation.doc_id for citation in answer.citations] == ["Oder"]
    assert board_of(answer)[1:] == [("researcher", "finding oder v1", "866 km")]
    assert [step.agent for step in answer.steps if step.kind != "note"] == [
        "plan_tasks",
        "search",
        "read",
    ]


async def test_the_document_that_the_question_names_is_read_first(model, ask, index):
    index.passages = [WARTA, ODER]
    model.says(plan(sub("oder")), "866 km")

    answer = await ask(QUESTION, program="team")

    assert [(citation.doc_id, citation.quote) for citation in answer.citations] == [("Oder", "866 km")]


async def test_a_researcher_reads_at_once_as_much_as_the_model_can(model, ask, index, agents_with):
    index.passages = [replace(river, probability=0.5) for river in (WARTA, ODER)]
    reader = agents_with(llm_reads=3)
    model.says(plan(sub("oder")), "866 km")
    at_once = await ask(QUESTION, program="team", agents=reader)
    model.says(plan(sub("oder")), "none", "866 km")
    one_by_one = await ask(QUESTION, program="team", agents=reader)

    assert [(citation.doc_id, citation.quote) for citation in at_once.citations] == [("Oder", "866 km")]
    assert [step.agent for step in at_once.steps if step.kind == "chat"] == ["plan_tasks", "answer"]
    assert [step.agent for step in one_by_one.steps if step.kind == "chat"] == ["plan_tasks", "answer", "read"]
    assert one_by_one.answer == "866 km"


async def test_what_is_asked_of_a_long_document_is_read_whatever_the_search_thinks_of_that_part(
    model, ask, index, agents_with
):
    start, end = (replace(passage("Oder", text), chunk_id=text) for text in ("It rises in Moravia.", ODER.text))
    index.passages = [replace(start, probability=0.5), replace(end, probability=0.01)]
    model.says(plan(sub("oder")), "866 km")

    answer = await ask(QUESTION, program="team", agents=agents_with(llm_reads=3))

    assert [step.agent for step in answer.steps if step.kind == "chat"] == ["plan_tasks", "answer"]
    assert f"{ODER.text}\n\nIt rises" in model.asked[-1]["messages"][-1]["content"].replace("# Oder\n\n", "")


# The order of the two calls is chance, so both get the same reply.
BOTH = plan(sub("oder"), sub("warta", question="How long is the Warta?"))
TOGETHER = "How long are the Oder and the longest tributary of the Oder together?"


async def test_where_findings_meet_what_the_question_describes_is_looked_up_and_the_plan_made_anew(model, ask, index):
    index.passages = [passage("Rivers", "The Oder has 866 km and the Warta 808")]
    model.says(BOTH, "the longest tributary of the Oder", "Warta", BOTH, "866", "866", "866 + 866", "complete")

    answer = await ask(TOGETHER, program="team")

    assert (answer.status, answer.answer) == ("answered", "1732")
    assert [step.agent for step in answer.steps if step.kind == "chat"][:3] == ["plan_tasks", "describe", "read"]
    assert index.asked[0]["query"] == "Which is the longest tributary of the Oder?"
    assert "Question: How long are the Oder and Warta together?" in model.asked[3]["messages"][-1]["content"]
    assert [step.hop for step in answer.steps if step.kind == "search"] == [1, 2, 2]
    assert [note[1] for note in board_of(answer)][:3] == ["plan _plan v1", "finding named v1", "plan _plan v2"]


async def test_a_chain_of_look_ups_is_planned_once(model, ask, index):
    index.passages = [ODER]
    model.says(plan(sub("a"), sub("b", "a")), "866 km", "866 km", "complete")

    answer = await ask("How long is the longest river of all?", program="team")

    assert [step.agent for step in answer.steps if step.kind == "chat"].count("plan_tasks") == 1
    assert "describe" not in [step.agent for step in answer.steps]


@pytest.mark.parametrize("described", ["none", "the Oder", TOGETHER[:-1], "the longest lake of all"])
async def test_neither_a_name_nor_all_that_is_asked_is_looked_up_before_the_plan(model, ask, index, described):
    index.passages = [passage("Rivers", "The Oder has 866 km and the Warta 808")]
    model.says(BOTH, described, "866", "866", "866 + 866", "complete")

    answer = await ask(TOGETHER, program="team")

    assert answer.answer == "1732"
    assert sorted(note[1].split()[1] for note in board_of(answer)) == ["_plan", "oder", "warta"]


async def test_where_what_is_described_is_not_found_the_first_plan_is_carried_out(model, ask, index):
    index.passages = [passage("Rivers", "The Oder has 866 km and the Warta 808")]
    model.says(BOTH, "the longest tributary of the Oder", "none", "866", "866", "866 + 866", "complete")

    answer = await ask(TOGETHER, program="team")

    assert answer.answer == "1732"
    assert [note[1] for note in board_of(answer)][:2] == ["plan _plan v1", "review named v1"]


async def test_an_id_of_the_program_is_not_given_again(model, ask, index):
    index.passages = [passage("Rivers", "The Oder has 866 km and the Warta 808")]
    taken = plan(sub("named"), sub("warta", question="How long is the Warta?"))
    model.says(BOTH, "the longest tributary of the Oder", "Warta", taken, "866", "866", "866 + 866", "complete")

    answer = await ask(TOGETHER, program="team")

    assert answer.answer == "1732"
    assert sorted(note[1] for note in board_of(answer) if "finding" in note[1]) == [
        "finding named v1",
        "finding named2 v1",
        "finding warta v1",
    ]


async def test_what_is_found_on_the_way_to_an_answer_is_none(model, ask, index):
    index.passages = [ODER]
    model.says(plan(sub("a"), sub("b", "a", question="And {a}?")), "Oder", "none", "866 km")

    answer = await ask(QUESTION, program="team")

    assert answer.answer == "866 km"
    assert index.asked[-1]["query"] == QUESTION


async def test_where_the_last_sub_task_finds_nothing_what_it_needed_is_concluded_from(model, ask, index):
    index.passages = [passage("Rivers", "The Oder has 866 km and the Warta 808")]
    three = plan(
        sub("oder"),
        sub("warta", question="How long is the Warta?"),
        sub("less", "oder", "warta", role="coder", question="How much longer is it?"),
    )
    model.says(three, "none", "866", "866", '{"code": "oder - warta"}', '{"code": "oder"}', "866 - 866", "complete")

    answer = await ask(QUESTION, program="team")

    assert answer.answer == "0"
    assert "less" in [note[1].split()[1] for note in board_of(answer) if note[1].startswith("review")]


async def test_what_a_sub_task_needs_stands_in_its_question(model, ask, index, spooled):
    index.passages = [WARTA]
    two = plan(sub("which", question="Which?"), sub("length", "which", question="How long is the {which}?"))
    model.says(two, "Warta", "808 km", "complete")

    answer = await ask("How long is the river?", program="team")

    assert answer.answer == "808 km"
    assert index.asked[1]["query"].startswith("How long is the Warta?")
    assert sum(record.usd for record in spooled()) == answer.usage.usd
    assert [(record.operation, record.sub_task) for record in spooled()] == [
        ("chat", None),
        ("retrieval", "which"),
        ("chat", "which"),
        ("retrieval", "length"),
        ("chat", "length"),
        ("chat", None),
        ("invoke_agent", None),
    ]


async def test_what_asks_about_a_finding_that_is_not_there_is_not_asked(model, ask, index):
    index.passages = [WARTA]
    two = plan(sub("which", question="Which?"), sub("length", "which", question="How long is the {which}?"))
    model.says(two, "none", "none")

    answer = await ask("How long is the river?", program="team")

    assert (answer.status, answer.reason) == ("refused", "no passage that was found holds the fact")
    assert [step.query for step in answer.steps if step.kind == "search"] == ["Which?", "How long is the river?"]
    assert ("researcher", "review length v1", "nothing: which, which it asks about, found nothing") in board_of(answer)


async def test_a_sub_task_is_asked_once_for_each_name_that_another_found(model, ask, index):
    index.passages = [passage("Oder", "The Oder has 2 tributaries: Warta, Neisse. The Warta has 1, the Neisse 0.")]
    each = sub("count", "two", question="How many tributaries has {each two}?")
    model.says(plan(sub("two", question="Which?"), each), "Warta, Neisse", "1", "0", "complete")

    answer = await ask("How many tributaries have the two tributaries of the Oder in total?", program="team")

    assert answer.answer == "1"
    asked = [search["query"] for search in index.asked[1:]]
    assert asked == ["How many tributaries has Warta?", "How many tributaries has Neisse?"]  # without the whole list
    assert board_of(answer)[-1][1:] == ("finding count v1", "1, 0")


async def test_several_last_findings_are_concluded_by_a_sum(model, ask, index):
    index.passages = [ODER]
    model.says(plan(sub("a"), sub("b", "a")), "866 km", "866 km", "complete")
    chained = await ask(QUESTION, program="team")
    model.says(plan(sub("a"), sub("b", question="And how long?")), "none", "866", "866", "866 - 866", "complete")
    index.passages = [passage("Oder", "866")]
    side_by_side = await ask(QUESTION, program="team")

    assert chained.answer == "866 km"
    assert side_by_side.answer == "0"
    assert [step.agent for step in side_by_side.steps if step.kind == "tool"] == ["calculate"]
    parts = [step.sub_task for step in side_by_side.steps if step.kind in ("search", "note")]
    assert sorted(parts, key=str) == [None, "a", "a", "b", "b"]  # the plan, then a search and a finding of each
    assert all(step.started_at for step in side_by_side.steps if step.kind != "note")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("none of your business", "plan: Invalid JSON"),
        (plan(sub("a", "b"), sub("b", "a")), "a circle"),
        (plan(sub("a", role="wizard")), "Input should be 'researcher'"),
        (plan(*(sub(f"t{number}") for number in range(200))), f"1 to {MAX_SUB_TASKS} tasks"),
        (plan(sub("a", "ghost")), "needs 'ghost'"),
        ('{"tasks": ' + "[" * 500, "Invalid JSON"),
    ],
)
async def test_a_wrong_plan_is_mended_once_else_one_research_task_is_done(model, ask, index, wrong, why):
    index.passages = [ODER]
    model.says(wrong, plan(sub("mended")), "866 km")
    mended = await ask(QUESTION, program="team")
    assert (mended.answer, board_of(mended)[-1][1]) == ("866 km", "finding mended v1")
    assert why in model.asked[1]["messages"][-1]["content"]

    model.says(wrong, wrong, "none", "866 km")
    given_up = await ask(QUESTION, program="team")
    assert given_up.answer == "866 km"
    assert board_of(given_up)[0][2].startswith("refused twice: ")
    assert board_of(given_up)[1][1] == "finding research v1"


async def test_a_wrong_plan_is_made_anew_with_what_the_question_describes_or_the_one_before_is_carried_out(
    model, ask, index
):
    index.passages = [passage("Rivers", "The Oder has 866 km and the Warta 808")]
    described, wrong = ("the longest tributary of the Oder", "Warta"), plan(sub("a", "a"))
    model.says(wrong, wrong, *described, BOTH, "866", "866", "866 + 866", "complete")
    made_anew = await ask(TOGETHER, program="team")
    model.says(BOTH, *described, wrong, wrong, "866", "866", "866 + 866", "complete")
    as_before = await ask(TOGETHER, program="team")

    assert made_anew.answer == as_before.answer == "1732"
    refused = "refused twice: a waits for a: a circle. Take one of the needs out."
    assert [note[2] for note in board_of(made_anew)][:2] == [refused, "Warta"]
    assert [note[2] for note in board_of(as_before)][1:3] == ["Warta", refused]


async def test_a_team_that_finds_nothing_asks_once_more_and_declines_with_the_reason(model, ask, index):
    index.passages = [ODER]
    model.says(plan(sub("a")), "none", "none")

    answer = await ask(QUESTION, program="team")

    assert (answer.status, answer.answer) == ("refused", NOTHING_FOUND)
    assert answer.reason == "no passage that was found holds the fact"
    assert [note[1] for note in board_of(answer)] == ["plan _plan v1", "review a v1", "review more1 v1"]


async def test_the_critic_gets_one_more_round_and_no_third(model, ask, index):
    index.passages = [ODER]
    model.says(
        plan(sub("a"), sub("b", "a")), "866", "Oder", "missing: How long is it?", "866 km", "866 km", "missing: And?"
    )

    answer = await ask(QUESTION, program="team")

    assert (answer.status, answer.answer) == ("answered", "866 km")
    found = ["finding a v1", "finding b v1", "finding more1 v1"]
    assert [note[1] for note in board_of(answer)] == ["plan _plan v1", *found]


async def test_ids_that_the_program_uses_itself_may_be_the_planners_too(model, ask, index):
    index.passages = [ODER]
    model.says(plan(sub("plan"), sub("more1", "plan")), "Oder", "866 km", "missing: How long?", "866 km", "866 km")

    answer = await ask(QUESTION, program="team")

    assert answer.status == "answered"
    assert [note[1].split()[1] for note in board_of(answer)] == ["_plan", "plan", "more1", "more2"]
    assert [step.hop for step in answer.steps if step.kind == "search"] == [1, 2, 3]


async def test_a_budget_that_ends_in_the_middle_gives_what_was_found(model, ask, index):
    index.passages = [ODER]
    model.says(plan(sub("a"), sub("b", "a")), "866 km")

    answer = await ask(QUESTION, program="team", max_calls=2)

    assert (answer.status, answer.answer) == ("partial", "866 km")
    assert answer.reason == "max_calls=2: the task made 2 model calls"
    assert [citation.doc_id for citation in answer.citations] == ["Oder"]


async def test_an_analyst_reads_why_its_select_was_refused_and_tries_once_more(model, ask, index):
    index.passages = []
    wrong, right = '{"statement": "SELECT nothing"}', '{"statement": "SELECT 7 AS n"}'
    model.says(plan(sub("n", role="analyst")), wrong, right)

    answer = await ask("How many?", program="team")

    assert answer.answer == '{"n": 7}'
    assert "Refused: Binder Error" in model.asked[2]["messages"][-1]["content"]


async def test_a_critic_among_the_sub_tasks_reviews_and_answers_nothing(model, ask, index):
    index.passages = [ODER]
    model.says(plan(sub("a"), sub("check", "a", role="critic", question="A length?")), "866 km", "holds", "complete")

    answer = await ask(QUESTION, program="team")

    assert (answer.answer, board_of(answer)[-1]) == ("866 km", ("critic", "review check v1", "holds"))


async def test_a_corrupted_passage_is_outvoted_and_the_disagreement_is_in_the_trace(model, ask, index):
    index.passages = [
        passage("Liar", "The Oder is 9 km long."),
        passage("Atlas", "The Oder is 866 km long."),
        passage("Copy", "The Oder is 9 km long."),
        passage("Almanac", "Length of the Oder: 866 km"),
    ]
    said = ["9 km", "866 km", "9 km", "866 km"]
    model.says(plan(sub("a")), *said)
    voted = await ask("How long is the Oder?", program="team", quorum=2)
    model.says(plan(sub("a")), said[0])
    without = await ask("How long is the Oder?", program="team")

    assert (voted.answer, without.answer) == ("866 km", "9 km")
    assert ("researcher", "disagreement a.votes v1", "'866 km' by 2, but '9 km' says Liar") in board_of(voted)
    assert [citation.doc_id for citation in voted.citations] == ["Atlas"]


async def test_sources_that_contradict_each_other_are_declined_with_both_values(model, ask, index):
    index.passages = [passage("Liar", "The Oder is 9 km long."), passage("Atlas", "The Oder is 866 km long.")]
    model.says(plan(sub("a")), "9 km", "866 km", "9 km", "866 km")

    answer = await ask("How long is the Oder?", program="team", quorum=2)

    assert (answer.status, answer.reason) == ("refused", "no 2 documents agree")
    assert "no quorum: '9 km' says Liar; '866 km' says Atlas" in [note[2] for note in board_of(answer)]
