"""The programs that are shipped, step by step over a scripted model: what is searched, asked, read and concluded."""

from dataclasses import replace
from typing import get_args

import pytest

from agents.answer import NOTHING_FOUND
from agents.programs import PROGRAMS
from agents.runtime import COMPILED, load_program
from lakehouse.errors import Unavailable
from lakehouse.settings import Program
from tests.agents.conftest import Reply, passage

ODER = passage("Oder", "The Oder has 2 large tributaries: Warta, Neisse.")
WARTA = passage("Warta", "The Warta is 808 km long.\nIt has 1 large tributary: Noteć.")
NEISSE = passage("Neisse", "The Neisse is 254 km long.\nIt has 0 large tributaries.")
QUESTION = "How many large tributaries do the two tributaries of the Oder have together?"


@pytest.fixture(autouse=True)
def rivers(index, monkeypatch, tmp_path):
    """Three documents, and no compiled programs."""
    index.passages = (ODER, WARTA, NEISSE)
    monkeypatch.setattr("agents.runtime.COMPILED", tmp_path)
    load_program.cache_clear()
    yield
    load_program.cache_clear()


def steps_of(answer):
    """The steps: agent, hop and result."""
    return [
        (step.kind, step.agent, step.hop, step.output or [ref.title for ref in step.passages]) for step in answer.steps
    ]


async def test_one_look_up_reads_the_document_that_the_first_one_names(model, ask):
    model.says("1", "808 km")
    answer = await ask("How long is the first tributary of the Oder?", program="multihop")
    assert (answer.status, answer.answer) == ("answered", "808 km")
    assert steps_of(answer) == [
        ("search", "search", 1, ["Oder", "Warta", "Neisse"]),
        ("chat", "plan", 1, "1"),
        ("search", "search", 2, ["Oder", "Warta", "Neisse"]),
        ("search", "look_up", 2, ["Warta", "Neisse"]),
        ("chat", "read", 2, "808 km"),
    ]
    assert [citation.model_dump() for citation in answer.citations] == [
        {"doc_id": "Warta", "chunk_id": "Warta#0", "quote": "808 km", "title": "Warta", "heading": "", "uri": "x:Warta"}
    ]


async def test_several_facts_are_concluded_by_a_sum_that_the_calculator_works_out(model, ask):
    model.says("2", "1", "0", "1 - 0")
    answer = await ask(
        "How many more large tributaries has one of the two tributaries of the Oder than the other?", program="multihop"
    )
    assert (answer.status, answer.answer) == ("answered", "1")
    assert steps_of(answer)[-4:] == [
        ("chat", "read", 2, "1"),
        ("chat", "read", 2, "0"),
        ("chat", "conclude", 2, "1 - 0"),
        ("tool", "calculate", 2, "1"),
    ]
    assert [citation.doc_id for citation in answer.citations] == ["Warta", "Neisse"]


async def test_a_total_that_the_question_states_is_worked_out_without_a_model_call(model, ask):
    model.says("2", "1", "0")
    answer = await ask(QUESTION, program="multihop")
    assert (answer.status, answer.answer) == ("answered", "1")
    assert steps_of(answer)[-2:] == [("chat", "read", 2, "0"), ("tool", "calculate", 2, "1")]


async def test_the_model_reads_one_passage_at_a_time(model, ask):
    model.says("2", "1", "0")
    await ask(QUESTION, program="multihop")
    prompts = [body["messages"][-1]["content"] for body in model.asked]
    assert [[name for name in ("808 km", "254 km", "2 large") if name in prompt] for prompt in prompts] == [
        [],
        ["808 km"],
        ["254 km"],
    ]


async def test_the_reader_is_pointed_to_the_closest_sentence(model, ask):
    model.says("1", "1")
    await ask("How many large tributaries has the first tributary of the Oder?", program="multihop")
    assert "Closest: It has 1 large tributary: Noteć.\n" in model.asked[1]["messages"][-1]["content"]


async def test_what_needs_no_look_up_is_read_from_what_the_question_names(model, ask):
    model.says("0", "808 km")
    answer = await ask("How long is the Warta?", program="multihop")
    assert answer.answer == "808 km"
    assert steps_of(answer)[2:] == [("search", "look_up", 2, ["Warta"]), ("chat", "read", 2, "808 km")]


async def test_a_single_hop_plans_nothing(model, ask):
    model.says("2")
    answer = await ask(QUESTION, program="multihop", max_hops=1)
    assert steps_of(answer)[1:] == [("chat", "read", 1, "2")]


async def test_a_passage_without_the_fact_leads_to_the_next(model, ask):
    model.says("1", "none", "254 km")
    answer = await ask("How long is the tributary of the Oder?", program="multihop")
    assert (answer.answer, [citation.doc_id for citation in answer.citations]) == ("254 km", ["Neisse"])


@pytest.mark.parametrize(("program", "said"), [("single_shot", ["none"]), ("multihop", ["1", "none", "none", "none"])])
async def test_what_no_passage_answers_is_refused(model, ask, program, said):
    model.says(*said)
    answer = await ask("How long is the tributary of the Oder?", program=program)
    assert (answer.status, answer.answer, answer.citations) == ("refused", NOTHING_FOUND, [])


async def test_what_the_question_compares_is_read_at_once_and_nothing_is_planned(model, ask, agents_with):
    model.says("Warta")
    answer = await ask("Which is longer, the Warta or the Neisse?", program="multihop", agents=agents_with(llm_reads=3))
    assert (answer.answer, answer.uncited) == ("Warta", [])
    assert steps_of(answer)[1:] == [("chat", "answer", 1, "Warta")]
    assert [citation.quote for citation in answer.citations] == [
        "The Warta is 808 km long.",
        "The Neisse is 254 km long.",
        "Warta",
    ]


async def test_a_yes_is_an_answer_that_no_words_carry(model, ask, agents_with):
    model.says("yes")
    answer = await ask("Are the Warta and the Neisse rivers?", program="multihop", agents=agents_with(llm_reads=3))
    assert (answer.status, answer.answer, answer.uncited) == ("answered", "yes", ["yes"])
    assert [citation.doc_id for citation in answer.citations] == ["Warta", "Neisse"]
    assert model.asked[0]["structured_outputs"] == {"choice": ["yes", "none", "no"]}


async def test_a_chain_that_the_search_is_confident_of_is_read_at_once(model, ask, agents_with, index):
    index.passages = tuple(replace(river, probability=0.9) for river in (ODER, WARTA))
    model.says("1", "808 km")
    answer = await ask(
        "How long is the first tributary of the Oder?", program="multihop", agents=agents_with(llm_reads=3)
    )
    assert (answer.answer, [citation.doc_id for citation in answer.citations]) == ("808 km", ["Warta"])
    assert steps_of(answer)[1:] == [("chat", "plan", 1, "1"), ("chat", "answer", 1, "808 km")]


async def test_what_several_passages_do_not_say_is_looked_for_in_each(model, ask, agents_with, index):
    index.passages = tuple(replace(river, probability=0.9) for river in (ODER, WARTA))
    model.says("1", "none", "808 km")
    answer = await ask(
        "How long is the first tributary of the Oder?", program="multihop", agents=agents_with(llm_reads=3)
    )
    assert [step[:3] for step in steps_of(answer)[1:]] == [
        ("chat", "plan", 1),
        ("chat", "answer", 1),
        ("search", "search", 2),
        ("search", "look_up", 2),
        ("chat", "read", 2),
    ]
    assert answer.answer == "808 km"


async def test_numbers_of_several_documents_are_read_one_by_one(model, ask, agents_with, index):
    index.passages = tuple(replace(river, probability=0.9) for river in (ODER, WARTA, NEISSE))
    model.says("2", "1", "0")
    assert (await ask(QUESTION, program="multihop", agents=agents_with(llm_reads=3))).answer == "1"


async def test_a_model_that_reads_one_passage_at_a_time_and_a_quorum_compare_fact_by_fact(model, ask, agents_with):
    model.always_says("none")
    question = "Which is longer, the Warta or the Neisse?"
    one_by_one = await ask(question, program="multihop")
    voted = await ask(question, program="multihop", quorum=2, agents=agents_with(llm_reads=3))
    assert {step.agent for answer in (one_by_one, voted) for step in answer.steps if step.kind == "chat"} == {
        "plan",
        "read",
    }


async def test_single_shot_reads_all_it_finds_at_once(model, ask):
    model.says("254 km")
    answer = await ask("How long is the Neisse?", program="single_shot")
    assert steps_of(answer) == [
        ("search", "search", 1, ["Oder", "Warta", "Neisse"]),
        ("chat", "answer", 1, "254 km"),
    ]
    assert [(citation.doc_id, citation.quote) for citation in answer.citations] == [("Neisse", "254 km")]


async def test_a_model_with_too_small_a_context_is_named(model, ask):
    model.always_says(Reply("maximum context length is 16 tokens", status=400))
    with pytest.raises(Unavailable, match="is too small for one passage and its examples"):
        await ask("How long is the Neisse?", program="single_shot")


def test_the_settings_know_every_program():
    assert set(PROGRAMS) == set(get_args(Program))


SHIPPED = [path for path in sorted(COMPILED.glob("*.json")) if not path.name.endswith(".scores.json")]


@pytest.mark.parametrize("compiled", SHIPPED, ids=lambda path: path.stem)
def test_what_is_shipped_compiled_loads_and_is_small(compiled, monkeypatch):
    monkeypatch.setattr("agents.runtime.COMPILED", COMPILED)
    load_program.cache_clear()
    module, version = load_program(compiled.stem)
    assert version != "uncompiled"
    assert all(predictor.lm is None for predictor in module.predictors())
    assert compiled.stat().st_size < 100_000
