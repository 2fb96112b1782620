"""The response of GET /passages: a passage in its document, to see what a citation rests on."""

from datetime import datetime

from pydantic import BaseModel, Field

from lakehouse.retrieval.whole_documents import PlacedPassage, Surroundings

MAX_AROUND = 10


class Neighbour(BaseModel):
    """A chunk before or after the passage in the same document."""

    chunk_id: str
    number: int = Field(description="Number of the chunk in its document, from 1.")
    heading: str
    text: str


class PassageInDocument(BaseModel):
    """A passage with the text around it. A citation's `quote` is a span of `text`, unaltered."""

    chunk_id: str
    doc_id: str
    title: str
    heading: str = Field(description="Headings above it, outermost first, joined by ` › `; empty without any.")
    text: str
    uri: str
    source: str
    document_type: str | None = Field(description="Format by its usual suffix; null: not known.")
    author: str | None = Field(description="null: the document names none.")
    updated_at: datetime | None = Field(description="Last change by the source; null: it gives none.")
    number: int = Field(description="Number of the chunk in its document, from 1.")
    chunks: int = Field(description="Number of the document's chunks that the caller may read.")
    before: list[Neighbour] = Field(description="The chunks before it, in the document's order.")
    after: list[Neighbour] = Field(description="The chunks after it, in the document's order.")

    @classmethod
    def of(cls, found: Surroundings) -> "PassageInDocument":
        passage = found.here.passage
        names = cls.model_fields.keys() - {"number", "chunks", "before", "after"}
        return cls(
            **{name: getattr(passage, name) for name in names},
            number=found.here.number,
            chunks=found.chunks,
            before=[_neighbour(one) for one in found.before],
            after=[_neighbour(one) for one in found.after],
        )


def _neighbour(placed: PlacedPassage) -> Neighbour:
    passage = placed.passage
    return Neighbour(chunk_id=passage.chunk_id, number=placed.number, heading=passage.heading, text=passage.text)
