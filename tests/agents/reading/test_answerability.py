"""Questions whose subject no document has: declined before a model reads, with the reason, by every program."""

import json
import shutil
from dataclasses import replace

import pytest

from agents.programs import PROGRAMS
from agents.reading.answerability import decisive_terms, missing_terms, names_a_document
from agents.runtime import NOTHING_FOUND, load_program
from lakehouse.storage import delta
from lakehouse.tables import FREQUENCIES
from lakehouse.text.name_keys import EVERY_CHUNK, TERM, hashed
from lakehouse.text.terms import terms
from tests.agents.conftest import CALLER, Reply, passage

CFFI = passage("cffi", "cffi is published under the MIT licence.\ncffi requires 1 package: pycparser.")
ASGIREF = passage("asgiref", "asgiref is published under the BSD licence.\nIt is made by the people behind Django.")
COMMON = {"licenc": 400, "publish": 300, "packag": 500, "requir": 400}
QUESTION = "Under which licence is the only package that bokeh requires published?"
PLAN = json.dumps({"tasks": [{"id": "a", "role": "researcher", "question": QUESTION, "needs": []}]})
WORDS = {"Cut the question into": PLAN, "Choose what to do next": "answer", "How many other pages": "0"}


@pytest.mark.parametrize(
    ("question", "missing"),
    [
        (QUESTION, {"bokeh"}),
        (QUESTION.replace("bokeh", "django"), {"django"}),  # in a sentence without another word of the question
        (QUESTION.replace("bokeh", "pycparser"), set()),  # beside a word of the question
        (QUESTION.replace("bokeh", "asgiref"), set()),
        ("Which packages are required by CFFI?", set()),  # inflected, and in capitals
        ("Who made Django?", set()),  # too few words for two in one sentence
    ],
)
def test_a_word_is_spoken_of_in_a_title_or_beside_another_word_of_the_question(question, missing):
    assert missing_terms([CFFI, ASGIREF], terms(question)) == missing


def test_only_a_question_of_which_nothing_rare_is_spoken_of_is_about_nothing():
    rarity = {"licenc": 2.0, "packag": 1.0, "sol": 6.0, "bokeh": 7.0}

    assert decisive_terms(rarity, {"bokeh", "sol", "packag"}, 0.5) == ["bokeh", "sol"]
    assert decisive_terms(rarity, {"bokeh"}, 0.5) == []  # `sole` is spoken of, and may be the subject
    assert decisive_terms(rarity, set(), 0.5) == []


def test_a_document_is_named_by_its_title_as_a_whole_without_what_sets_it_apart():
    lisbon = passage("Lisbon (novel)", "A book.")

    assert names_a_document("Who wrote lisbon?", [CFFI, lisbon])
    assert not names_a_document("Who wrote Lisbonne?", [lisbon])
    assert names_a_document("How old is cffi's code?", [CFFI])
    assert not names_a_document("How old is cffi-headers?", [CFFI])


@pytest.fixture
def settings(settings, tmp_path, monkeypatch):
    """A tenant of 2,000 chunks with counted words, and no compiled programs."""
    folder = tmp_path / "counted"
    shutil.copytree(settings.warehouse, folder)
    settings = settings.model_copy(update={"warehouse": str(folder)})
    counts = {EVERY_CHUNK: 2_000} | {TERM + term: count for term, count in COMMON.items()}
    rows = [
        {"tenant_id": "acme", "ingest_run_id": "r", "key": hashed(key), "chunks": count}
        for key, count in counts.items()
    ]
    delta.upsert(settings, FREQUENCIES, rows)
    monkeypatch.setattr("agents.runtime.COMPILED", tmp_path)
    load_program.cache_clear()
    yield settings
    load_program.cache_clear()


def scripted(body):
    prompt = body["messages"][0]["content"]
    return Reply(next((words for sign, words in WORDS.items() if prompt.startswith(sign)), "MIT"))


@pytest.mark.parametrize("program", sorted(PROGRAMS))
async def test_what_nothing_is_about_is_declined_unread_and_the_answer_says_why(model, ask, index, spooled, program):
    index.passages = [CFFI, ASGIREF]
    model.answers(scripted)

    answer = await ask(QUESTION, program=program)

    assert (answer.status, answer.answer) == ("refused", f"{NOTHING_FOUND} None of them speaks of 'bokeh'.")
    assert "read" not in [step.agent for step in answer.steps]
    assert len(model.asked) == {"single_shot": 0, "multihop": 0, "react": 1, "team": 1}[program]
    why = "nothing that was found speaks of what the question asks about"
    assert (answer.reason, spooled()[-1].error) == (why, why)  # a record holds no word of the question


@pytest.mark.parametrize("program", ["single_shot", "multihop"])
async def test_what_a_document_is_about_is_read(model, ask, index, program):
    index.passages = [CFFI, ASGIREF]
    model.answers(scripted)

    answer = await ask("Under which licence is cffi published, who wields the copyright hereabouts?", program=program)

    assert (answer.status, answer.answer) == ("answered", "MIT")


async def test_where_no_words_were_counted_nothing_is_declined_by_them(model, ask, index):
    index.passages = [CFFI]
    model.answers(scripted)

    answer = await ask(QUESTION, program="single_shot", caller=replace(CALLER, tenant_id="other"))

    assert (answer.status, answer.answer) == ("answered", "MIT")
