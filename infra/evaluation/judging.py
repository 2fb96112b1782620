"""A judge model beside the check by text: do the cited passages support the answer?

A quote is often one word, which lacks its context. The judge therefore gets the sentence around each quote, after the
document's title. The gateway's `/judge` makes the calls, under a program name of their own in the cost tables.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from infra.clients.gateway import FATAL, GatewayClient, map_concurrently
from lakehouse.errors import LakehopError
from lakehouse.settings import MAX_EVIDENCE, Settings
from lakehouse.storage.delta import read_rows
from lakehouse.tables import CHUNKS
from lakehouse.text.sentences import sentences

log = logging.getLogger("lakehop.eval")


@dataclass(frozen=True)
class CitedAnswer:
    """An answer and its citations, as /ask returns them."""

    question: str
    answer: str
    citations: Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class JudgeVerdict:
    """The judge's verdict on an answer; `supported` is None where it gave none or could not be asked."""

    supported: bool | None = None
    usd: Decimal = Decimal(0)
    task_id: str | None = None


def judge_answers(
    settings: Settings, tenant: str, groups: Sequence[str], answers: Sequence[CitedAnswer]
) -> list[JudgeVerdict]:
    """A verdict on each answer, two at a time. Raises the gateway's error where no answer can be judged at all."""
    client = GatewayClient(settings)
    chunk_ids = {citation["chunk_id"] for answer in answers for citation in answer.citations}
    where = [("tenant_id", "=", tenant), ("chunk_id", "in", sorted(chunk_ids))]
    rows = read_rows(settings, CHUNKS, where, ["chunk_id", "title", "text"]) if chunk_ids else []
    chunks = {row["chunk_id"]: row for row in rows}

    def judge(answer: CitedAnswer) -> JudgeVerdict:
        texts = evidence(answer.citations, chunks)
        try:
            verdict = client.judge(answer.question, tenant, list(groups), answer.answer, texts)
        except FATAL:
            raise
        except LakehopError as error:
            log.warning("not judged: %s", error)
            return JudgeVerdict()
        if verdict["supported"] is None:
            log.warning("not judged: %s", verdict["reason"])
        return JudgeVerdict(verdict["supported"], Decimal(verdict["usage"]["usd"]), verdict["task_id"])

    return map_concurrently(judge, answers)


def evidence(citations: Sequence[Mapping[str, str]], chunks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The judge's texts: for each citation the sentence around its quote, or the quote if its chunk is gone."""
    texts = []
    for citation in citations:
        quote, chunk = citation["quote"], chunks.get(citation["chunk_id"])
        if chunk is None:
            texts.append(quote)
            continue
        sentence = next((sentence for sentence in sentences(chunk["text"]) if quote in sentence), quote)
        texts.append(f"{chunk['title']}: {sentence}")
    return list(dict.fromkeys(texts))[:MAX_EVIDENCE]
