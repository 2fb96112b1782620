"""Follow-ups: completed from the last turns, in one call, and only where they need it."""

import pytest

from agents.answer import Turn
from agents.question.follow_up import needs_history
from agents.runtime import load_program
from tests.agents.conftest import FLASK, JINJA

HISTORY = [Turn(question="Which license has Flask?", answer="BSD-3-Clause")]


@pytest.fixture(autouse=True)
def documents(index, monkeypatch, tmp_path):
    index.passages = (FLASK, JINJA)
    monkeypatch.setattr("agents.runtime.COMPILED", tmp_path)
    load_program.cache_clear()
    yield
    load_program.cache_clear()


@pytest.mark.parametrize(
    ("question", "needed"),
    [
        ("and under which licence?", True),
        ("and who has to sign that?", True),
        ("what about the second one", True),
        ("wer hat sie geschrieben?", True),
        ("why?", True),
        ("Which license has Jinja2?", False),
        ("how do i get a laptop fixed while traveling", False),
    ],
)
def test_only_what_points_back_needs_the_history(question, needed):
    assert needs_history(question) is needed


async def test_a_follow_up_is_completed_in_one_call(model, ask, agents_with):
    model.says("Which license has Flask?", "0", "BSD-3-Clause")
    answer = await ask(
        "and which license has it?", program="multihop", history=HISTORY, agents=agents_with(llm_writes=True)
    )

    assert (answer.question, answer.answer) == ("Which license has Flask?", "BSD-3-Clause")
    assert next(step.agent for step in answer.steps if step.kind == "chat") == "complete"


async def test_words_from_nowhere_are_not_taken_into_the_question(model, ask, agents_with):
    model.says("Which license has Django?", "0", "BSD-3-Clause")
    answer = await ask(
        "and which license has it?", program="multihop", history=HISTORY, agents=agents_with(llm_writes=True)
    )

    assert answer.question == "Which license has Flask? and which license has it?"


async def test_a_question_that_stands_by_itself_costs_no_call(model, ask, agents_with):
    model.says("0", "BSD-3-Clause")
    answer = await ask(
        "Which license has Flask?", program="multihop", history=HISTORY, agents=agents_with(llm_writes=True)
    )

    assert answer.question is None
    assert "complete" not in [step.agent for step in answer.steps]


async def test_a_long_conversation_does_not_make_the_prompt_longer(model, ask, agents_with):
    writing = agents_with(llm_writes=True)
    lengths = []
    for turns in (3, 200):
        model.says("Which license has Flask?", "0", "BSD-3-Clause")
        history = [Turn(question="Which license has Flask?" * 40, answer="BSD-3-Clause " * 200)] * turns
        await ask("and which license has it?", program="multihop", history=history, agents=writing)
        lengths.append(len(str(model.asked[-3]["messages"])))

    assert lengths[0] == lengths[1]


async def test_a_follow_up_without_a_history_is_asked_as_it_is(model, ask):
    model.says("0", "BSD-3-Clause")
    answer = await ask("and which license has Flask?", program="multihop")

    assert (answer.question, answer.answer) == (None, "BSD-3-Clause")
