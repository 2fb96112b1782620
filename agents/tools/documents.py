"""Tools that read documents within the caller's rights: search for passages, and fetch a whole document."""

import asyncio

from pydantic import BaseModel, Field, model_validator

from agents.prompting.constraints import in_words
from agents.tools.contract import Tool, ToolContext, ToolFailed, ToolResult
from lakehouse.index.passages import Passage
from lakehouse.retrieval.by_document import spread
from lakehouse.retrieval.whole_documents import chunks_of
from lakehouse.storage.delta import Filter

PASSAGES = 5
PASSAGES_OF_A_DOCUMENT = 2
"""While others are found; `fetch_document` reads the rest."""
PASSAGE_CHARACTERS = 800  # a chunk of 200 tokens of prose
MAX_CHUNKS = 200  # of a book; a model's prompt is cut long before


class Query(BaseModel, extra="forbid"):
    """Arguments of `search`."""

    query: str = Field(
        description="names and words to look for", min_length=1, max_length=1_000, json_schema_extra=in_words(16)
    )


class Document(BaseModel, extra="forbid"):
    """Arguments of `fetch_document`."""

    title: str = Field(
        "", description="the document's title as search told it", max_length=1_000, json_schema_extra=in_words(24)
    )
    doc_id: str = Field("", description="or its id", max_length=1_000, json_schema_extra=in_words(24))

    @model_validator(mode="after")
    def _one_of_both(self) -> "Document":
        if bool(self.title.strip()) == bool(self.doc_id.strip()):
            raise ValueError("give a title or a doc_id, one of both")
        return self


async def _search(given: Query, context: ToolContext) -> ToolResult:
    passages = await asyncio.to_thread(_find, given.query, context)
    if not passages:
        return ToolResult("Nothing found. Reword once, then stop.", empty=True)
    texts = (f"{passage.title}: {passage.text[:PASSAGE_CHARACTERS]}" for passage in passages)
    return ToolResult("\n\n".join(texts), tuple(passages))


def _find(query: str, context: ToolContext) -> list[Passage]:
    caller = context.caller
    mode = context.retriever.best_mode(caller.tenant_id)
    passages = context.retriever.search(
        caller.tenant_id, caller.groups, query, k=2 * PASSAGES, mode=mode, filters=context.filters
    )
    return spread(passages, PASSAGES, PASSAGES_OF_A_DOCUMENT)


async def _fetch(given: Document, context: ToolContext) -> ToolResult:
    passages = await asyncio.to_thread(_chunks, given, context)
    if not passages:
        raise ToolFailed(
            f"{given.title or given.doc_id!r}: no such document, or none that the asker may read. Search for it."
        )
    return ToolResult("\n\n".join(passage.text for passage in passages), tuple(passages))


def _chunks(given: Document, context: ToolContext) -> list[Passage]:
    named: Filter = (
        ("title", "=", given.title.strip()) if given.title.strip() else ("doc_id", "=", given.doc_id.strip())
    )
    return chunks_of(context.settings, context.caller, context.filters, [named])[:MAX_CHUNKS]


SEARCH = Tool(
    name="search",
    description="Find passages that the asker may read, best first. Names and words, not a sentence.",
    arguments=Query,
    run=_search,
    timeout_s=20.0,
    trust="strangers",
    kind="search",
)

FETCH_DOCUMENT = Tool(
    name="fetch_document",
    description="Read a whole document by its title, where the passage found is not enough.",
    arguments=Document,
    run=_fetch,
    timeout_s=20.0,
    trust="strangers",
)
