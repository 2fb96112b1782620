"""The formats of files by suffix, and how a document is read from an open file.

To add a format, write a module that declares its `FORMATS` (`spark_jobs.formats.format`) and list the module here.
"""

from pathlib import PurePosixPath
from typing import IO

from spark_jobs.formats import (
    archives,
    asciidoc,
    data_documents,
    docx,
    epub,
    html,
    mail,
    markdown,
    notebooks,
    open_document,
    pdf,
    pptx,
    restructured_text,
    rich_text,
    source_code,
    spreadsheets,
    tables,
    text,
    transcripts,
)
from spark_jobs.formats.document import (
    EXCERPT_CHARACTERS,
    ExtractedText,
    ParsedDocument,
    ParseLimits,
    Refused,
    Rejection,
    clean_author,
    clean_title,
    clean_type,
    excerpt,
)
from spark_jobs.formats.format import FileReader, Format

FORMATS: tuple[Format, ...] = (
    *markdown.FORMATS,
    *text.FORMATS,
    *restructured_text.FORMATS,
    *asciidoc.FORMATS,
    *html.FORMATS,
    *notebooks.FORMATS,
    *transcripts.FORMATS,
    *data_documents.FORMATS,
    *source_code.FORMATS,
    *pdf.FORMATS,
    *docx.FORMATS,
    *pptx.FORMATS,
    *spreadsheets.FORMATS,
    *open_document.FORMATS,
    *rich_text.FORMATS,
    *epub.FORMATS,
    *tables.FORMATS,
    *mail.FORMATS,
    *archives.FORMATS,
)
_FORMAT_BY_SUFFIX = {suffix: file_format for file_format in FORMATS for suffix in file_format.suffixes}
_SUFFIX_BY_MEDIA_TYPE = {
    media_type: file_format.suffixes[0] for file_format in FORMATS for media_type in file_format.media_types
}
_USUAL_SUFFIX = {
    "markdown": "md", "mdown": "md", "mkd": "md", "htm": "html", "xhtml": "html", "text": "txt", "yml": "yaml",
    "jpeg": "jpg", "tiff": "tif", "adoc": "asciidoc", "asc": "asciidoc",
}  # fmt: skip
_INGESTED_BY_PATH = (".jsonl", ".ndjson", ".parquet")


def format_of(name: str) -> Format | None:
    """The format of a file by the suffix of its name, in any case; None: no reader for it."""
    return _FORMAT_BY_SUFFIX.get(_suffix(name))


def document_type(name: str) -> str | None:
    """The type of a file by the suffix of its name: the usual one where a format has several; None without a suffix."""
    suffix = _suffix(name).removeprefix(".")
    return clean_type(_USUAL_SUFFIX.get(suffix, suffix))


def suffix_of_media_type(media_type: str) -> str | None:
    """The first suffix of the format that a web server names so; None: no reader for it."""
    return _SUFFIX_BY_MEDIA_TYPE.get(media_type)


def max_bytes(name: str, limits: ParseLimits) -> int:
    """The largest size that a file of that name may have."""
    file_format = format_of(name)
    return limits.document_bytes if file_format is None or file_format.is_text else limits.file_bytes


def is_container(name: str) -> bool:
    """Whether such a file holds other files; `a.zip/b.md` is the id of `b.md` in `a.zip`."""
    file_format = format_of(name)
    return file_format is not None and file_format.members is not None


def file_rejection(reason: str, doc_id: str, excerpt: str | None = None, uri: str | None = None) -> Rejection:
    """The rejection of a file. That of a container covers the ids of all its members."""
    return Rejection(reason, doc_id, excerpt, f"{doc_id}/" if is_container(doc_id) else None, uri)


def parse_file(doc_id: str, uri: str, file: IO[bytes], limits: ParseLimits) -> ParsedDocument | Rejection:
    """The document in an open file, or why it was refused with the first bytes of the file."""
    try:
        return read_document(doc_id, uri, file, limits)
    except Refused as refused:
        file.seek(0)
        return file_rejection(str(refused), doc_id, excerpt(file.read(4 * EXCERPT_CHARACTERS)))


def read_document(doc_id: str, uri: str, file: IO[bytes], limits: ParseLimits) -> ParsedDocument:
    """The document in an open file, whose path or name is the end of `doc_id`. Raises `Refused` with the reason."""
    name = PurePosixPath(doc_id).name
    file_format = format_of(name)
    if file_format is None or file_format.read is None:
        raise Refused(_unsupported(_suffix(name)))
    if file_format.is_text:
        extracted = file_format.read(file, limits)
    else:
        extracted = _convert(file_format.read, _suffix(name), file, limits)
    if not extracted.text.strip():
        raise Refused("empty text: a document needs some. Write it, or remove the file.")
    own_title = markdown.markdown_title(extracted.text) if extracted.title is None else extracted.title
    title = clean_title(own_title or "", fallback=name)
    return ParsedDocument(
        doc_id,
        title,
        extracted.text,
        uri,
        updated_at=extracted.updated_at,
        document_type=document_type(name),
        author=clean_author(extracted.author),
    )


def _convert(read: FileReader, suffix: str, file: IO[bytes], limits: ParseLimits) -> ExtractedText:
    try:
        extracted = read(file, limits)
    except (Refused, MemoryError):
        raise
    except RecursionError:
        raise Refused(f"a {suffix} file nested too deep to read. Simplify it, or convert it to Markdown.") from None
    except Exception as error:  # parsers raise errors of any class: the file is not what its suffix says
        cause = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise Refused(f"damaged: no valid {suffix} file ({cause}). Repair it, or save it anew.") from error
    return extracted._replace(text=extracted.text.replace("\0", "").encode(errors="replace").decode())


def _unsupported(suffix: str) -> str:
    if suffix in _INGESTED_BY_PATH:
        return f"file type {suffix!r} holds many documents. Ingest it by its own path."
    texts = list(dict.fromkeys(file_format.name for file_format in FORMATS if file_format.is_text))
    others = [suffix for file_format in FORMATS if not file_format.is_text for suffix in file_format.suffixes]
    return (
        f"unsupported file type {suffix!r}: must be {', '.join(texts)} or one of {', '.join(others)}. "
        "Convert it to one of these, e.g. to .md."
    )


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()
