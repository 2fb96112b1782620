"""Each program marks claims that no citation carries, and streams citations while a task runs."""

import json
from datetime import UTC, datetime

import pytest

from agents.answer import Citation, PassageRef, Step
from agents.reading.citations import cite, uncited
from agents.runtime import load_program
from tests.agents.conftest import passage
from tests.serving.http.test_streaming import events_of

ODER = passage("Oder", "The Oder is 866 km long. It rises in Moravia.")
WARTA = passage("Warta", "The Warta is 808 km long.")
NEISSE = passage("Neisse", "The Neisse is 254 km long.")
RHINE = passage("Rhine", "The Rhine is longer.")


def quoted(passage, quote):
    return Citation(doc_id=passage.doc_id, chunk_id=passage.chunk_id, quote=quote)


def tool(agent, query, output):
    return Step(kind="tool", agent=agent, hop=1, query=query, output=output, started_at=datetime.now(UTC), latency_ms=1)


SEARCH = Step(
    kind="search",
    agent="search",
    hop=1,
    passages=[PassageRef.of(ODER), PassageRef.of(WARTA)],
    latency_ms=1,
)
CITED = [quoted(ODER, "866 km"), quoted(WARTA, "808 km")]
LONG = "The Oder is 866 km long. It is as deep as the sea. The Warta is 808 km long."


@pytest.mark.parametrize(
    ("answer", "citations", "steps", "marked"),
    [
        ("866 km", CITED, [], []),
        ("866 km.", CITED, [], []),
        ("866 km, 808 km", CITED, [], []),
        ("6 km", CITED, [], ["6 km"]),  # a part of a number is another number
        ("866 km", [], [], ["866 km"]),
        (LONG, cite("", (LONG, [ODER, WARTA])), [], ["It is as deep as the sea."]),
        ("No. Never.", CITED, [], ["No. Never."]),
        ("Warta", CITED, [SEARCH], []),  # the title of a cited document
        ("Neisse", CITED, [SEARCH], ["Neisse"]),
        ("58", CITED, [tool("calculate", "866 - 808", "58")], []),
        ("116", CITED, [tool("calculate", "866 - 808", "58"), tool("python", "58 + 58", "116")], []),
        ("59", CITED, [tool("calculate", "867 - 808", "59")], ["59"]),  # from another number than the cited one
        ("58", CITED[:1], [tool("calculate", "866 - 808", "58")], ["58"]),
        ("7", CITED, [tool("python", "len('Warthe!')", "7")], ["7"]),  # from no number
        ('{"n": 7}', CITED, [tool("sql", "SELECT count(*) AS n FROM t", '{"n": 7}')], ['{"n": 7}']),
    ],
)
def test_a_claim_is_carried_by_a_quote_or_worked_out_from_quotes_else_marked(answer, citations, steps, marked):
    assert uncited(answer, citations, steps) == marked


def test_each_sentence_of_an_answer_is_cited_where_it_stands():
    citations = cite("", ("It rises in Moravia. The Warta is 808 km long.", [ODER, WARTA]))

    assert [(citation.doc_id, citation.quote) for citation in citations] == [
        ("Oder", "It rises in Moravia."),
        ("Warta", "The Warta is 808 km long."),
    ]


@pytest.mark.parametrize(("fact", "quotes"), [("808  KM", ["808 km"]), ("809 km", [])])
def test_a_citation_quotes_what_stands_there_or_is_not_made(fact, quotes):
    assert [citation.quote for citation in cite("", (fact, [RHINE, WARTA]))] == quotes


def test_what_the_question_says_or_wants_a_yes_for_is_cited_by_what_it_was_told_from():
    question = "Is the Warta or the Neisse longer?"
    citations = [("Warta", "The Warta is 808 km long."), ("Neisse", "The Neisse is 254 km long.")]
    assert [(citation.doc_id, citation.quote) for citation in cite(question, ("Warta", [WARTA, NEISSE]))] == [
        *citations,
        ("Warta", "Warta"),
    ]
    assert [
        (citation.doc_id, citation.quote) for citation in cite("Are Warta and Neisse rivers?", ("yes", [WARTA, NEISSE]))
    ] == citations
    assert [citation.doc_id for citation in cite("Are they rivers?", ("no", [WARTA, NEISSE]))] == ["Warta"]


# ---- the four programs ------------------------------------------------------------------------------------------


def sub(id, role, question, *needs):
    return {"id": id, "role": role, "question": question, "needs": needs}


MORE = json.dumps(
    {
        "tasks": [
            sub("a", "researcher", "How long is the Oder?"),
            sub("b", "researcher", "How long is the Warta?", "a"),
            sub("more", "coder", "{a} less {b}", "a", "b"),
        ]
    }
)
COUNT = json.dumps({"tasks": [sub("n", "analyst", "How many tasks?")]})
CODE = json.dumps({"code": "866 - 808"})


@pytest.fixture(autouse=True)
def uncompiled(index, monkeypatch, tmp_path):
    index.passages = (passage("Oder", "The Oder is longer than the Warta: 866 km to 808 km"), WARTA)
    monkeypatch.setattr("agents.runtime.COMPILED", tmp_path)
    load_program.cache_clear()
    yield
    load_program.cache_clear()


@pytest.mark.parametrize(
    ("program", "said", "answered", "marked"),
    [
        ("single_shot", ["866 km"], "866 km", []),
        ("single_shot", ["808 km The Warta"], "808 km The Warta", ["808 km The Warta"]),  # two passages run together
        ("react", ["calculate", '{"expression": "866 - 808"}', "answer", "58"], "58", []),
        ("react", ["calculate", '{"expression": "866 - 1"}', "answer", "865"], "865", ["865"]),
        ("multihop", ["0", "808 km"], "808 km", []),
        ("team", [MORE, "none", "866", "808", CODE, "complete"], "58", []),
        ("team", [COUNT, '{"statement": "SELECT 7 AS n"}'], '{"n": 7}', ['{"n": 7}']),
    ],
)
async def test_every_program_marks_what_no_citation_carries(model, ask, program, said, answered, marked):
    model.says(*said)

    answer = await ask("How much longer is the Oder than the Warta?", program=program)

    assert (answer.status, answer.answer, answer.uncited) == ("answered", answered, marked)


@pytest.mark.parametrize(("said", "status"), [(["none"], "refused"), ([], "partial")])
async def test_where_nothing_is_claimed_nothing_is_marked(model, ask, said, status):
    model.says(*said)

    answer = await ask("How long is the Oder?", program="single_shot", max_calls=len(said))

    assert (answer.status, answer.uncited) == (status, [])


async def test_plan_findings_and_citations_are_streamed_as_they_come(model, served):
    model.says(MORE, "none", "866", "808", CODE, "complete")
    asked = {"question": "How much longer is the Oder than the Warta?", "program": "team"}

    response = await served.http.post("/ask/stream", json=asked, headers=served.key())

    events = events_of(response.text)
    citations = [
        data["quote"] if kind == "citation" else data.get("query", kind)
        for kind, data in events
        if kind in ("citation", "usage", "done") or (kind == "step" and data["kind"] == "note")
    ]
    assert citations == [
        "plan _plan v1",
        "finding a v1",
        "866",
        "finding b v1",
        "808",
        "finding more v1",
        "usage",
        "done",
    ]
    assert [data["sub_task"] for kind, data in events if kind == "step" and data["kind"] == "search"] == ["a", "b"]
    assert [citation["quote"] for citation in events[-1][1]["citations"]] == ["866", "808"]
