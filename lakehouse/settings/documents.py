"""Documents: limits of files and websites, rules that quarantine documents, the size of chunks."""

from pydantic import Field, field_validator

from lakehouse.settings.base import SettingsGroup


class DocumentSettings(SettingsGroup, frozen=True):
    """Documents: limits of files and websites, rules that quarantine documents, the size of chunks."""

    chunk_max_tokens: int = Field(
        200,
        ge=32,
        le=8192,
        description="Largest chunk, in tokens of the embedding model. MiniLM reads 256; the title and headings need "
        "the rest.",
    )
    document_max_bytes: int = Field(
        10_000_000, gt=0, description="Largest document, in bytes of UTF-8; a larger one is quarantined."
    )
    file_max_bytes: int = Field(
        100_000_000,
        gt=0,
        le=1_000_000_000,
        description="Largest PDF, Office file, mail or archive, in bytes; a larger one is quarantined. Pictures make "
        "such files ten times as large as their text.",
    )
    document_seconds: float = Field(
        120,
        gt=0,
        description="Time limit to convert one document, seconds; after it the document is quarantined. 40 pages of "
        "PDF take 20 s, OCR takes 3 s a page.",
    )
    document_memory_mb: int = Field(
        1024,
        ge=64,
        description="Memory limit to convert one document, MB, in each Spark worker. A spreadsheet needs ten times "
        "its size.",
    )
    document_languages: str = Field(
        "",
        description="Accepted languages, comma-separated ISO 639-1 codes, e.g. `en,de`; documents in others are "
        "quarantined. "
        "Empty: any.",
    )
    near_duplicate_similarity: float = Field(
        0,
        description="A document this similar to another of its source and groups is quarantined: share of five-word "
        "sequences that both have, 0.5 to 1, e.g. 0.9. 0: near-duplicates are accepted.",
    )
    snapshot_max_deleted_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Largest share of a source's documents that a snapshot deletes; above it the run fails, unless it "
        "has `--allow-deleting`. Two documents may always go.",
    )
    website_max_pages: int = Field(1000, gt=0, description="Most pages of one sitemap that one run reads.")
    website_max_seconds: float = Field(
        1800,
        gt=0,
        description="Time limit for one sitemap in one run, seconds; half of the time that `lakehop ingest` waits.",
    )
    website_delay_seconds: float = Field(
        1,
        ge=0,
        description="Shortest pause between two requests to a site, seconds; its robots.txt may ask for a longer one.",
    )

    @field_validator("near_duplicate_similarity")
    @classmethod
    def _check_similarity(cls, similarity: float) -> float:
        if similarity != 0 and not 0.5 <= similarity <= 1:
            raise ValueError("must be 0 or from 0.5 to 1")
        return similarity

    @field_validator("document_languages")
    @classmethod
    def _check_language_codes(cls, codes: str) -> str:
        names = [code.strip().lower() for code in codes.split(",") if code.strip()]
        if not all(len(name) == 2 and name.isalpha() and name.isascii() for name in names):
            raise ValueError("must be two-letter codes such as en,de")
        return ",".join(names)
