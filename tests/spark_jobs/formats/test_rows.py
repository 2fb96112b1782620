"""One line in; one document or a rejection out."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_jobs.formats.document import ParsedDocument, Rejection
from spark_jobs.formats.rows import parse_line

URI = "file:///c.jsonl"


def line(**values: Any) -> bytes:
    return json.dumps({"id": "a", "text": "Some text."} | values).encode()


def test_a_full_line_is_a_document() -> None:
    given = line(
        title=" The\n title ", groups=["hr", " eng", "hr"], uri="https://x/a", updated_at="2026-11-05T10:30:00+01:00"
    )

    assert parse_line(given, URI, 100) == ParsedDocument(
        doc_id="a",
        title="The title",
        text="Some text.",
        uri="https://x/a",
        acl_groups=["eng", "hr"],
        updated_at=datetime(2026, 11, 5, 9, 30, tzinfo=UTC),
        document_type="record",
    )


@pytest.mark.parametrize(
    ("values", "document_type", "author"),
    [
        ({"document_type": " .PDF ", "author": "Ida\n Kestrel"}, "pdf", "Ida Kestrel"),
        ({"author": ["Ida", "Max"]}, "record", "Ida, Max"),
        ({"document_type": {"a": 1}, "author": {"name": "Ida"}}, "record", None),
        ({"document_type": None, "author": " "}, "record", None),
    ],
)
def test_type_and_author_are_taken_where_they_are_texts(
    values: dict[str, Any], document_type: str, author: str | None
) -> None:
    document = parse_line(line(**values), URI, 100)

    assert isinstance(document, ParsedDocument)
    assert (document.document_type, document.author) == (document_type, author)


def test_what_a_line_leaves_out_has_a_default() -> None:
    assert parse_line(line(id="a/b #1", text="# Top\n\nText"), URI, 100) == ParsedDocument(
        doc_id="a/b #1", title="Top", text="# Top\n\nText", uri="file:///c.jsonl#a%2Fb%20%231", document_type="record"
    )
    assert parse_line(line(title=None, groups=None, updated_at=None), URI, 100) == parse_line(line(), URI, 100)


def test_an_empty_list_of_groups_is_kept_apart_from_no_list() -> None:
    opened = parse_line(line(groups=[]), URI, 100)

    assert isinstance(opened, ParsedDocument)
    assert opened.acl_groups == []


REFUSED = {
    b"{": "invalid JSON: Expecting property name",
    b"[" * 50_000: "invalid JSON",
    b'{"id":"a","text":"\xff"}': "invalid UTF-8: byte 0xff at offset 18.",
    b'["a"]': "a line must be a JSON object with id and text, this is a list.",
    b'{"text":"x"}': "id is missing",
    line(id=None): "id is missing",
    line(id=7): "id 7: must be a string, this is a number.",
    line(id=" "): "id ' ': must not be empty.",
    line(id="i" * 1025): "has 1025 characters: at most 1024 are allowed.",
    b'{"id":"a"}': "text is missing",
    line(text=" \n"): "empty text",
    line(text=["x"]): "text must be a string, this is a list.",
    line(text="x" * 101): "oversize: 101 bytes, at most 100 are allowed.",
    line(text="é" * 51): "oversize: 102 bytes, at most 100 are allowed.",
    line(title=3): "title 3: must be a string",
    line(uri={}): "uri {}: must be a string, this is a object.",
    line(groups="hr"): "groups 'hr': must be a list of strings",
    line(groups=["hr", 1]): "groups ['hr', 1]: must be a list of strings",
    line(groups=[""]): "groups ['']: no name in it.",
    line(groups=["h\nr"]): "control characters are not allowed",
    line(groups=["g" * 129]): "129 characters, at most 128 allowed.",
    line(updated_at="yesterday"): "updated_at 'yesterday': must be ISO 8601",
    line(updated_at=1762300000): "updated_at 1762300000: must be ISO 8601",
    line(updated_at="0001-01-01T00:00:00+09:00"): "outside the years 1 to 9999",
    line(text="\ud800"): "text holds half a character (\\ud800)",
    line(id="\udfff"): "id holds half a character (\\udfff)",
}


@pytest.mark.parametrize(("bad", "reason"), REFUSED.items(), ids=[reason[:40] for reason in REFUSED.values()])
def test_a_bad_line_is_refused_with_the_reason(bad: bytes, reason: str) -> None:
    refused = parse_line(bad, URI, 100)

    assert isinstance(refused, Rejection)
    assert reason in refused.reason
    assert refused.reason.endswith(".")


def test_a_broken_line_still_has_its_id() -> None:
    for broken in (b'{"id": "plan", "text": "torn', b'{"id":"plan","text":"\xff"}', line(id="plan", text="")):
        refused = parse_line(broken, URI, 100)
        assert isinstance(refused, Rejection)
        assert refused.doc_id == "plan"


@given(st.binary(max_size=300))
def test_no_bytes_make_a_line_raise(content: bytes) -> None:
    assert isinstance(parse_line(content, URI, 100), ParsedDocument | Rejection)
