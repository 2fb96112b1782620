"""What the judge of `lakehop eval --judge` is shown; what comes of it is in `test_evaluate.py`."""

from infra.judging import evidence

TEXT = "Flask is a framework.\nIts licence is BSD. It was first released in 2010."


def test_the_judge_is_shown_the_sentence_around_a_quote_once() -> None:
    chunks = {"c": {"title": "Flask", "text": TEXT}}

    def quoted(quote: str, chunk_id: str = "c") -> dict[str, str]:
        return {"doc_id": "d", "chunk_id": chunk_id, "quote": quote}

    assert evidence([quoted("BSD"), quoted("licence is BSD"), quoted("2010")], chunks) == [
        "Flask: Its licence is BSD.",
        "Flask: It was first released in 2010.",
    ]
    assert evidence([quoted("framework.\nIts"), quoted("MIT", "gone")], chunks) == ["Flask: framework.\nIts", "MIT"]
    assert len(evidence([quoted(str(n), "gone") for n in range(50)], chunks)) == 20
