"""Manuals as Lakehop takes them in: files parsed and cut as the ingest does, without Spark, and hand-made questions.

`manual_questions.jsonl` names two chunks in two documents for each question, by a few words that only the chunk holds.
The corpora themselves are not part of the project.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lakehouse.index.embedding import BUNDLED_MODEL, embedded_text, load_tokenizer
from lakehouse.index.rows import IndexRow
from lakehouse.settings import Settings
from lakehouse.text.names import HEADING_JOINT
from spark_jobs.documents.chunk import chunk_rows
from spark_jobs.formats.document import ParsedDocument
from spark_jobs.sources.files import read_path
from spark_jobs.sources.folders import local_files
from spark_jobs.sources.inputs import limits_of
from tests.benchmarks.pool_index import encoded

QUESTIONS = Path(__file__).with_name("manual_questions.jsonl")
TENANT = "bench"
EVERYONE = "everyone"
"""The permission key of the chunks that every search may read."""


@dataclass(frozen=True, eq=False)
class ManualQuestion:
    """A question with its answer. `gold`: ids of the needed documents, each with words that only its chunk holds."""

    id: str
    corpus: str
    text: str
    answer: str
    gold: Mapping[str, str]


class Manual:
    """A folder of documents as chunks, in the order of their paths."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        settings = Settings()
        limits = limits_of(settings)
        tokenizer = load_tokenizer(BUNDLED_MODEL)
        self.chunks: list[dict[str, Any]] = []
        for file in sorted(local_files(folder), key=lambda row: str(row["doc_id"])):
            for parsed in read_path(file["doc_id"], file["uri"], file["path"], limits):
                if isinstance(parsed, ParsedDocument):
                    self.chunks += chunk_rows(_row(parsed, self.name), tokenizer, settings.chunk_max_tokens, "bench")

    def vectors(self, cache: Path) -> np.ndarray:
        """Vectors of the chunks (n, dimension), kept in the cache folder."""
        texts = [embedded_text(chunk["title"], chunk["heading_path"], chunk["text"]) for chunk in self.chunks]
        return encoded(texts, cache, f"{self.name}.chunks")

    def index_rows(self, vectors: np.ndarray, apart: Collection[str]) -> list[IndexRow]:
        """The chunks as index rows. The permission key of a chunk in `apart` is its id: a search can omit the chunk."""
        return [
            IndexRow(
                chunk_id=chunk["chunk_id"], tenant_id=TENANT, doc_id=chunk["doc_id"], source=chunk["source"],
                acl_key=chunk["chunk_id"] if chunk["chunk_id"] in apart else EVERYONE,
                title=chunk["title"], heading=HEADING_JOINT.join(chunk["heading_path"]), text=chunk["text"],
                uri=chunk["uri"], vector=vector,
            )
            for chunk, vector in zip(self.chunks, vectors, strict=True)
        ]  # fmt: skip

    def gold_chunks(self, question: ManualQuestion) -> list[str]:
        """Ids of the chunks that a question needs. Raises ValueError where words match none or several."""
        chunk_ids = []
        for doc_id, says in question.gold.items():
            numbers = self.holding(doc_id, says)
            if len(numbers) != 1:
                raise ValueError(f"{question.id}: {says!r} stands in {len(numbers)} chunks of {doc_id!r}, not in one.")
            chunk_ids.append(str(self.chunks[numbers[0]]["chunk_id"]))
        return chunk_ids

    @cached_property
    def by_document(self) -> dict[str, list[int]]:
        """Numbers of the chunks by document id."""
        numbers: dict[str, list[int]] = {}
        for number, chunk in enumerate(self.chunks):
            numbers.setdefault(chunk["doc_id"], []).append(number)
        return numbers

    def holding(self, doc_id: str, says: str) -> list[int]:
        """Numbers of the document's chunks that hold these words; spaces do not matter."""
        wanted = plain(says)
        return [number for number in self.by_document.get(doc_id, []) if wanted in plain(self.chunks[number]["text"])]


def plain(text: str) -> str:
    """A text with single spaces, for comparing words."""
    return " ".join(text.split())


def manual_questions(path: Path = QUESTIONS) -> list[ManualQuestion]:
    """All questions, of all manuals."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        ManualQuestion(
            row["id"],
            row["corpus"],
            row["question"],
            row["answer"],
            {gold["doc_id"]: gold["says"] for gold in row["gold"]},
        )
        for row in rows
    ]


def questions_of(corpus: str, questions: Sequence[ManualQuestion]) -> list[ManualQuestion]:
    """The questions about one manual."""
    return [question for question in questions if question.corpus == corpus]


def _row(document: ParsedDocument, source: str) -> dict[str, Any]:
    return {
        "tenant_id": TENANT,
        "source": source,
        "doc_id": document.doc_id,
        "title": document.title,
        "text": document.text,
        "uri": document.uri,
        "acl_groups": [],
    }
