"""Searches of a task: passages that the caller may read, each search allowed by the budget and on record."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal

from agents.task.actions import Action
from agents.task.budget import BudgetReached
from agents.task.context import TaskContext
from agents.task.reranking import rerank
from lakehouse.index.passages import Mode, Passage
from lakehouse.retrieval import whole_documents
from lakehouse.retrieval.by_document import spread
from lakehouse.retrieval.paging import Pages
from lakehouse.retrieval.reranking import RERANKED
from lakehouse.settings import LLM_RERANKER
from lakehouse.text.folding import alike

QUERY_CHARACTERS = 1_000  # the embedding model reads 256 tokens of a query; more is only slower
LOOK_UP_DEPTH = 10  # passages searched for a name's own document; with 30 no more documents were found


async def search(
    context: TaskContext, query: str, *, hop: int, k: int, mode: Mode | Literal["best"] = "hybrid"
) -> list[Passage]:
    """The caller's k best passages, reordered by the model where it is the reranker. Raises NotFound, Unavailable.

    One document takes a few of the k places while others are found. Mode `best` is `multihop` where the tenant's index
    holds names, and `hybrid` elsewhere.
    """
    query = query[:QUERY_CHARACTERS]
    by_model = context.deps.settings.reranker == LLM_RERANKER
    depth = max(k, RERANKED) if by_model else k

    def find() -> list[Passage]:
        return spread(_find(context, query, 2 * depth, mode), depth, places_of_a_document(depth))

    passages = await _retrieve(context, "search", query, hop, find)
    return (await rerank(context, query, passages, hop))[:k] if by_model else passages


async def search_documents(
    context: TaskContext, query: str, *, k: int, mode: Mode, per_document: int, pages: Pages
) -> list[Passage]:
    """The k best documents of a bare search, as of `Retriever.search_documents`; errors as of `search`."""
    query = query[:QUERY_CHARACTERS]
    retriever, caller = context.deps.retriever, context.caller
    by_model = context.deps.settings.reranker == LLM_RERANKER
    depth = max(k, RERANKED) if by_model else k

    def find() -> list[Passage]:
        return retriever.search_documents(
            caller.tenant_id,
            caller.groups,
            query,
            k=depth,
            mode=mode,
            filters=context.filters,
            per_document=per_document,
            pages=pages,
        )

    documents = await _retrieve(context, "search", query, 0, find)
    return (await rerank(context, query, documents, 0))[:k] if by_model else documents


def places_of_a_document(k: int) -> int:
    """How many of k passages that a program reads may be of one document while others are found: 2 of 5, 4 of 20."""
    return max(2, k // 5)


async def look_up(context: TaskContext, names: Sequence[str], topic: str, *, hop: int) -> list[Passage]:
    """For each name that is a document's title, the passage of that document that fits the topic best."""
    query = f"{', '.join(names)}: {topic}"[:QUERY_CHARACTERS]
    topic = topic[:QUERY_CHARACTERS]
    return await _retrieve(context, "look_up", query, hop, lambda: _find_titled(context, names, topic))


async def beginnings(context: TaskContext, passages: Sequence[Passage], *, hop: int) -> list[Passage]:
    """The first chunks of these passages' documents, which say what the documents are about."""
    settings, caller = context.deps.settings, context.caller
    doc_ids = list(dict.fromkeys(passage.doc_id for passage in passages))
    query = ", ".join(dict.fromkeys(passage.title for passage in passages))
    return await _retrieve(
        context, "look_up", query, hop, lambda: whole_documents.beginnings(settings, caller, context.filters, doc_ids)
    )


async def idf(context: TaskContext, terms: Sequence[str]) -> dict[str, float]:
    """Inverse document frequency of terms in the tenant's index; empty where the index has no frequencies."""

    async def read() -> dict[str, float]:
        return await asyncio.to_thread(context.deps.retriever.idf, context.caller.tenant_id, terms)

    return await context.once("idf", read)


async def _retrieve(
    context: TaskContext, agent: str, query: str, hop: int, find: Callable[[], list[Passage]]
) -> list[Passage]:
    """Run a search in a thread, within the task's time. Its record is on disk before its passages are used."""
    context.budget.allow_step()
    action = Action("search", agent, hop, query)

    async def work() -> None:
        try:
            async with asyncio.timeout(context.budget.seconds_left()):
                action.passages = tuple(await asyncio.to_thread(find))
        except TimeoutError:
            raise BudgetReached("max_seconds was used up while searching") from None

    done = await context.act(action, work, trust="strangers")
    if done.failure:
        raise done.failure
    return list(done.passages)


def _find(context: TaskContext, query: str, k: int, mode: Mode | Literal["best"]) -> list[Passage]:
    retriever, caller = context.deps.retriever, context.caller
    if mode == "best":
        mode = retriever.best_mode(caller.tenant_id)
    return retriever.search(caller.tenant_id, caller.groups, query, k=k, mode=mode, filters=context.filters)


def _find_titled(context: TaskContext, names: Sequence[str], topic: str) -> list[Passage]:
    """By a lexical search each, of a few milliseconds: a name is spelled out."""
    passages = []
    for name in names:
        candidates = _find(context, f"{name} {topic}", LOOK_UP_DEPTH, "lexical")
        passages += [passage for passage in candidates if alike(passage.title, name)][:1]
    return passages
