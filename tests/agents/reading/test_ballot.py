"""A quorum over HTTP: in `multihop` documents vote on each fact, and the trace shows disagreement."""

import pytest

from agents.runtime import load_program
from infra.cli.render_trace import tree_lines
from infra.evaluation.trace import trace
from tests.agents.conftest import passage

LIAR, COPY = passage("Liar", "The Oder is 9 km long."), passage("Copy", "The Oder is 9 km long.")
ATLAS, ALMANAC = passage("Atlas", "The Oder is 866 km long."), passage("Almanac", "Length of the Oder: 866 km")
ODER = passage("Oder", "The Oder has 2 large tributaries: Warta, Neisse.")
WARTA = passage("Warta", "The Warta is 808 km long.")
GUIDE, RUMOUR = passage("Guide", "Warta: 808 km."), passage("Rumour", "The Warta is 9 km long, they say.")
QUESTION = {"question": "How long is the Oder?", "program": "multihop"}


@pytest.fixture(autouse=True)
def uncompiled(monkeypatch, tmp_path):
    monkeypatch.setattr("agents.runtime.COMPILED", tmp_path)
    load_program.cache_clear()
    yield
    load_program.cache_clear()


@pytest.fixture
def post(served):
    async def post(**body):
        response = await served.http.post("/ask", json=QUESTION | body, headers=served.key())
        return response.json()

    return post


def notes(answer):
    return [(step["agent"], step["query"], step["output"]) for step in answer["steps"] if step["kind"] == "note"]


async def test_a_lie_is_outvoted_and_answer_and_trace_tell_of_it(model, index, post, settings):
    index.passages = [LIAR, ATLAS, COPY, ALMANAC]
    model.says("0", "9 km")
    assert (await post())["answer"] == "9 km"  # without a quorum

    model.says("0", "9 km", "866 km", "9 km", "866 km")
    answer = await post(quorum=2)

    assert (answer["status"], answer["answer"]) == ("answered", "866 km")
    assert [citation["doc_id"] for citation in answer["citations"]] == ["Atlas"]
    assert notes(answer) == [("multihop", "disagreement fact1.votes v1", "'866 km' by 2, but '9 km' says Liar")]
    (vote,) = [step for step in answer["steps"] if step["agent"] == "quorum"]
    assert (vote["query"], vote["output"]) == ("fact1: 2 documents that agree", "866 km")
    assert [passage["doc_id"] for passage in vote["passages"]] == ["Atlas", "Almanac"]
    (line,) = [line for line in tree_lines(trace(settings, answer["task_id"])) if "quorum" in line]
    assert line.endswith("! Disagreement: 2 documents agree, 1 say otherwise")
    assert "km" not in line  # a record outlives the document


async def test_what_is_looked_up_by_name_is_voted_on_by_documents_that_speak_of_it(model, index, post):
    index.passages = [ODER, WARTA, GUIDE, RUMOUR, ATLAS]
    model.says("1", "808 km", "808 km", "808 km")

    answer = await post(question="How long is the first tributary of the Oder?", quorum=2)

    assert answer["answer"] == "808 km"
    read = [step["passages"][0]["title"] for step in answer["steps"] if step["agent"] == "read"]
    assert read == ["Warta", "Oder", "Guide"]  # the Atlas does not mention the Warta; two equal votes are enough
    assert notes(answer) == []


@pytest.mark.parametrize("passages", [[LIAR, ATLAS], [ATLAS]])
async def test_without_a_quorum_the_question_is_declined(model, index, post, passages):
    index.passages = passages
    model.says("0", *[found.text.split(" is ")[1].removesuffix(" long.") for found in passages])

    answer = await post(quorum=2)

    assert (answer["status"], answer["reason"]) == ("refused", "no 2 documents agree")
    assert notes(answer)[0][1] == "disagreement fact1.votes v1"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"quorum": 2, "program": "single_shot"}, "quorum=2: program 'single_shot' lets no documents vote, multihop"),
        ({"quorum": 2, "program": "react"}, "program 'react' lets no documents vote"),
        ({"quorum": 6}, "quorum=6: Input should be less than or equal to 5. Number of independent documents"),
        ({"quorum": 0}, "quorum=0: Input should be greater than or equal to 1"),
    ],
)
async def test_a_quorum_that_cannot_be_held_is_refused_before_anything_is_spent(model, post, body, says):
    problem = await post(**body)

    assert problem["type"] == "urn:lakehop:problem:invalid-input"
    assert says in problem["detail"]
    assert model.asked == []
