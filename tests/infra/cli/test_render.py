"""The text that a person reads."""

import pytest

from infra.cli.render import print_search

STEP = {"chunk_id": "b", "title": "Harrow Bridge", "how": "names", "via": "ida kestrel"}
FOUND = {"chunk_id": "k", "doc_id": "kestrel", "title": "Ida Kestrel", "score": 3.2, "text": "Born in Marl.", "uri": ""}


def test_a_search_tells_the_path_to_a_passage(capsys: pytest.CaptureFixture[str]) -> None:
    led = FOUND | {"probability": 0.814, "path": [STEP], "covers": ["town", "born"]}
    alone = FOUND | {"probability": 0.5, "path": [], "covers": []}
    plain = FOUND | {"probability": None, "path": [], "covers": []}
    usage = {"calls": 3, "usd": "0.0000412000"}
    print_search({"results": [led, alone, plain], "took_ms": 1.0, "usage": usage})

    shown = " ".join(capsys.readouterr().out.split())
    assert "needed with 81%; “Harrow Bridge” names “ida kestrel” → this one; covers town, born" in shown
    assert "needed with 50%; found by the question itself" in shown
    assert shown.count("needed with") == 2
    assert shown.endswith("1 ms, ordered by a model for $0.0000412000")
