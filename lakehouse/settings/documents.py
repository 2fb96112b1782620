"""Documents on their way in: bounds of files and websites, what is refused, the size of chunks."""

from pydantic import Field, field_validator

from lakehouse.settings.base import SettingsGroup


class DocumentSettings(SettingsGroup, frozen=True):
    """Documents on their way in: bounds of files and websites, what is refused, the size of chunks."""

    chunk_max_tokens: int = Field(
        200,
        ge=32,
        le=8192,
        description="Upper size of a chunk in the embedding model's tokens; "
        "MiniLM reads 256 and title and headings need room.",
    )
    document_max_bytes: int = Field(
        10_000_000, gt=0, description="A larger document is quarantined, in bytes of UTF-8."
    )
    file_max_bytes: int = Field(
        100_000_000,
        gt=0,
        le=1_000_000_000,
        description="A larger PDF, Office file, mail or archive is quarantined, in bytes; pictures make them ten times "
        "as large as their text.",
    )
    document_seconds: float = Field(
        120,
        gt=0,
        description="Time to convert one document, seconds; 40 pages of PDF take 20 s, and OCR 3 s a page. "
        "What takes longer is stopped and quarantined.",
    )
    document_memory_mb: int = Field(
        1024,
        ge=64,
        description="Memory to convert one document, MB, in each Spark worker; a spreadsheet takes ten times its size.",
    )
    document_languages: str = Field(
        "", description="Languages of documents, comma-separated ISO 639-1 codes such as `en,de`; empty: any."
    )
    near_duplicate_similarity: float = Field(
        0,
        description="A document that repeats another of its source and groups so far is quarantined: share of runs of "
        "five words that both have, 0.5 to 1, e.g. 0.9; 0: copies are taken in.",
    )
    website_max_pages: int = Field(1000, gt=0, description="Pages of one sitemap that one run reads.")
    website_max_seconds: float = Field(
        1800, gt=0, description="Time for one sitemap in one run, seconds; half of what `lakehop ingest` waits."
    )
    website_delay_seconds: float = Field(
        1, ge=0, description="Least pause between two requests to a site, seconds; its robots.txt can ask for more."
    )

    @field_validator("near_duplicate_similarity")
    @classmethod
    def _is_off_or_a_half_at_least(cls, similarity: float) -> float:
        if similarity != 0 and not 0.5 <= similarity <= 1:
            raise ValueError("must be 0 or from 0.5 to 1")
        return similarity

    @field_validator("document_languages")
    @classmethod
    def _are_language_codes(cls, codes: str) -> str:
        names = [code.strip().lower() for code in codes.split(",") if code.strip()]
        if not all(len(name) == 2 and name.isalpha() and name.isascii() for name in names):
            raise ValueError("must be two-letter codes such as en,de")
        return ",".join(names)
