"""The questions over manuals match their chunks, and manuals are cut as an ingest cuts them."""

import json
from collections import Counter
from pathlib import Path

from tests.benchmarks.manual_index import QUESTIONS, Manual, manual_questions, questions_of

MOST_WORDS = 8


def test_every_question_needs_two_documents_and_names_a_chunk_in_each() -> None:
    rows = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]

    for row in rows:
        assert set(row) == {"id", "corpus", "question", "answer", "gold_ids", "gold"}, row["id"]
        assert row["question"].endswith("?"), row["id"]
        assert row["answer"], row["id"]
        assert len(set(row["gold_ids"])) == 2, row["id"]
        assert [gold["doc_id"] for gold in row["gold"]] == row["gold_ids"], row["id"]
        assert all(0 < len(gold["says"].split()) <= MOST_WORDS for gold in row["gold"]), row["id"]
    assert max(Counter(row["id"] for row in rows).values()) == 1
    assert max(Counter(row["question"] for row in rows).values()) == 1
    assert min(Counter(row["corpus"] for row in rows).values()) >= 30


def test_the_words_of_every_question_tell_exactly_one_chunk(manuals_folder: Path) -> None:
    questions = manual_questions()

    counts = {}
    for corpus in sorted({question.corpus for question in questions}):
        manual = Manual(manuals_folder / corpus)
        for question in questions_of(corpus, questions):
            for doc_id, says in question.gold.items():
                counts[question.id, doc_id] = len(manual.holding(doc_id, says))

    assert {gold: count for gold, count in counts.items() if count != 1} == {}


def test_a_manual_is_cut_by_headings_and_its_chunks_are_found_by_their_words(tmp_path: Path) -> None:
    (tmp_path / "guide").mkdir()
    steps = "Turn the valve until it clicks. " * 40
    (tmp_path / "guide/pump.md").write_text(f"# Pump\n\n## Starting\n\n{steps}\n\n## Stopping\n\nPull  the\nred lever.")

    manual = Manual(tmp_path)

    (stopping,) = manual.holding("guide/pump.md", "Pull the red lever.")
    assert manual.chunks[stopping]["title"] == "Pump"
    assert manual.chunks[stopping]["heading_path"] == ["Pump"]
    assert len(manual.holding("guide/pump.md", "Turn the valve")) > 1
    assert manual.holding("guide/valve.md", "Turn the valve") == []
