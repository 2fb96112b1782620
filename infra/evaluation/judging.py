"""A judge model beside the check by text: does what an answer cites say what it claims?

A quote is often one word, which says nothing of what it is about. So the judge is shown the sentence in which the quote
stands, after its document's title. It is the gateway's `/judge`, whose calls stand on the bill under a program of their
own.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from infra.clients.gateway import HOPELESS, GatewayClient, each
from lakehouse.errors import LakehopError
from lakehouse.settings import MAX_EVIDENCE, Settings
from lakehouse.storage.delta import read_rows
from lakehouse.tables import CHUNKS
from lakehouse.text.terms import sentences

log = logging.getLogger("lakehop.eval")


@dataclass(frozen=True)
class CitedAnswer:
    """An answer and its citations, as /ask gives them."""

    question: str
    answer: str
    citations: Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Judgement:
    """What the judge said of an answer; `supported` is None where it said neither yes nor no, or could not be asked."""

    supported: bool | None = None
    usd: Decimal = Decimal(0)
    task_id: str | None = None


def judged(settings: Settings, tenant: str, groups: Sequence[str], answers: Sequence[CitedAnswer]) -> list[Judgement]:
    """A judgement of each answer, two at a time. Raises the gateway's error where no answer can be judged at all."""
    client = GatewayClient(settings)
    chunk_ids = {citation["chunk_id"] for one in answers for citation in one.citations}
    where = [("tenant_id", "=", tenant), ("chunk_id", "in", sorted(chunk_ids))]
    rows = read_rows(settings, CHUNKS, where, ["chunk_id", "title", "text"]) if chunk_ids else []
    chunks = {row["chunk_id"]: row for row in rows}

    def judge(one: CitedAnswer) -> Judgement:
        try:
            said = client.judge(one.question, tenant, list(groups), one.answer, evidence(one.citations, chunks))
        except HOPELESS:
            raise
        except LakehopError as error:
            log.warning("not judged: %s", error)
            return Judgement()
        if said["supported"] is None:
            log.warning("not judged: %s", said["reason"])
        return Judgement(said["supported"], Decimal(said["usage"]["usd"]), said["task_id"])

    return each(judge, answers)


def evidence(citations: Sequence[Mapping[str, str]], chunks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What the judge is shown: of each citation the sentence around its quote; the quote where its chunk is gone."""
    texts = []
    for citation in citations:
        quote, chunk = citation["quote"], chunks.get(citation["chunk_id"])
        around = [one for one in sentences(chunk["text"]) if quote in one] if chunk else []
        texts.append(f"{chunk['title']}: {around[0] if around else quote}" if chunk else quote)
    return list(dict.fromkeys(texts))[:MAX_EVIDENCE]
