"""Manuals as Lakehop takes them in: files parsed and cut as the ingest does, without Spark, and hand-made questions.

`manual_questions.jsonl` names for each question two chunks in two documents by a few words that only they hold; the
corpora themselves are no part of the project.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lakehouse.index.embedding import BUNDLED_MODEL, embedded_text, load_tokenizer
from lakehouse.index.layout import IndexRow
from lakehouse.settings import Settings
from lakehouse.text.names import HEADING_JOINT
from spark_jobs.documents.chunk import chunk_rows
from spark_jobs.formats.parsing import Document
from spark_jobs.sources.files import read_path
from spark_jobs.sources.folders import local_files
from spark_jobs.sources.inputs import limits_of
from tests.benchmarks.pool_index import encoded

QUESTIONS = Path(__file__).with_name("manual_questions.jsonl")
TENANT = "bench"
EVERYONE = "everyone"
"""The key of chunks that every search may read."""


@dataclass(frozen=True, eq=False)
class ManualQuestion:
    """A question with its answer; `gold`: the documents that it needs, each with words that tell the chunk."""

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
            for found in read_path(file["doc_id"], file["uri"], file["path"], limits):
                if isinstance(found, Document):
                    self.chunks += chunk_rows(_row(found, self.name), tokenizer, settings.chunk_max_tokens, "bench")

    def vectors(self, cache: Path) -> np.ndarray:
        """Vectors of the chunks (n, dimension), kept in the cache folder."""
        texts = [embedded_text(one["title"], one["heading_path"], one["text"]) for one in self.chunks]
        return encoded(texts, cache, f"{self.name}.chunks")

    def index_rows(self, vectors: np.ndarray, apart: Collection[str]) -> list[IndexRow]:
        """The chunks as the index takes them. Those of the ids `apart` have a key of their own, which is their id."""
        return [
            IndexRow(
                chunk_id=one["chunk_id"], tenant_id=TENANT, doc_id=one["doc_id"], source=one["source"],
                acl_key=one["chunk_id"] if one["chunk_id"] in apart else EVERYONE,
                title=one["title"], heading=HEADING_JOINT.join(one["heading_path"]), text=one["text"], uri=one["uri"],
                vector=vector,
            )
            for one, vector in zip(self.chunks, vectors, strict=True)
        ]  # fmt: skip

    def gold_chunks(self, question: ManualQuestion) -> list[str]:
        """Ids of the chunks that a question needs, in its order. `ValueError` where its words don't tell one each."""
        found = []
        for doc_id, says in question.gold.items():
            numbers = self.holding(doc_id, says)
            if len(numbers) != 1:
                raise ValueError(f"{question.id}: {says!r} stands in {len(numbers)} chunks of {doc_id!r}, not in one.")
            found.append(str(self.chunks[numbers[0]]["chunk_id"]))
        return found

    @cached_property
    def by_document(self) -> dict[str, list[int]]:
        """Numbers of each document's chunks."""
        found: dict[str, list[int]] = {}
        for number, one in enumerate(self.chunks):
            found.setdefault(one["doc_id"], []).append(number)
        return found

    def holding(self, doc_id: str, says: str) -> list[int]:
        """Numbers of the document's chunks that hold these words, whatever the spaces between them."""
        wanted = plain(says)
        return [number for number in self.by_document.get(doc_id, []) if wanted in plain(self.chunks[number]["text"])]


def plain(text: str) -> str:
    """A text with single spaces, as words in a question's `says` are compared."""
    return " ".join(text.split())


def manual_questions(path: Path = QUESTIONS) -> list[ManualQuestion]:
    """All questions, of all manuals."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        ManualQuestion(
            one["id"],
            one["corpus"],
            one["question"],
            one["answer"],
            {gold["doc_id"]: gold["says"] for gold in one["gold"]},
        )
        for one in rows
    ]


def questions_of(corpus: str, questions: Sequence[ManualQuestion]) -> list[ManualQuestion]:
    """Those that are asked of one manual."""
    return [one for one in questions if one.corpus == corpus]


def _row(document: Document, source: str) -> dict[str, Any]:
    return {
        "tenant_id": TENANT,
        "source": source,
        "doc_id": document.doc_id,
        "title": document.title,
        "text": document.text,
        "uri": document.uri,
        "acl_groups": [],
    }
