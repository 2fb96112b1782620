"""`multihop` over an index with names: paths save a search, probabilities save reading or decline the question."""

from dataclasses import replace

import pytest

from agents.runtime import NOTHING_FOUND, Agents, load_program
from lakehouse.index.passages import PathStep
from tests.agents.conftest import Names, passage

ODER = passage("Oder", "The Oder has 2 large tributaries: Warta, Neisse.")
WARTA = passage("Warta", "The Warta is 808 km long.")
NEISSE = passage("Neisse", "The Neisse is 254 km long.")
QUESTION = "How long is the first tributary of the Oder?"
FROM_ODER = (PathStep("Oder#0", "Oder", "names", "warta"),)


@pytest.fixture
def ask_with(deps, ask, programs, monkeypatch, tmp_path):
    monkeypatch.setattr("agents.runtime.COMPILED", tmp_path)
    load_program.cache_clear()

    async def ask_with(found, question=QUESTION):
        names = Names(found)
        agents = Agents(replace(deps, retriever=names))
        answer = await ask(question, agents=agents, program="multihop")
        await agents.aclose()
        return answer, names

    return ask_with


def likely(found, probability, path=()):
    return replace(found, probability=probability, path=path)


async def test_what_the_first_search_was_led_to_is_not_searched_for_again(model, ask_with):
    model.says("1", "808 km")

    answer, names = await ask_with([likely(ODER, 0.9), likely(WARTA, 0.7, FROM_ODER), likely(NEISSE, 0.1)])

    assert (answer.status, answer.answer) == ("answered", "808 km")
    assert names.searches.count("multihop") == 1
    assert "hybrid" not in names.searches
    assert [step.agent for step in answer.steps] == ["search", "plan", "look_up", "read"]


async def test_an_unlikely_passage_is_not_read_after_one_that_held_nothing(model, ask_with):
    model.says("1", "none")

    answer, _ = await ask_with([likely(ODER, 0.9), likely(WARTA, 0.7, FROM_ODER), likely(NEISSE, 0.001)])

    assert (answer.status, answer.answer) == ("refused", NOTHING_FOUND)
    assert [step.passages[0].title for step in answer.steps if step.agent == "read"] == ["Warta"]


async def test_the_likely_is_read_before_the_unlikely(model, ask_with):
    model.says("1", "254 km")

    answer, _ = await ask_with([likely(ODER, 0.9), likely(WARTA, 0.001), likely(NEISSE, 0.6, FROM_ODER)])

    assert [step.passages[0].title for step in answer.steps if step.agent == "read"] == ["Neisse"]


async def test_where_nothing_is_likely_the_question_is_declined_without_a_model_call(model, ask_with):
    answer, names = await ask_with([likely(ODER, 0.01), likely(WARTA, 0.002)])

    assert (answer.status, answer.reason) == ("refused", "no passage is likely to be needed for it")
    assert (model.asked, names.searches) == ([], ["multihop"])
