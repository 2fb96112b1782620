"""One reader of `tests.benchmarks.readers` in a process of its own: files in, their texts and the cost as JSON out."""

import contextlib
import io
import json
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

Reader = Callable[[str], str]
_SECONDS = 20  # for one file
_OFFICE = (".docx", ".pptx", ".xlsx", ".xls")


def _table(rows: Iterable[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join("" if cell is None else str(cell) for cell in row) + " |" for row in rows]
    return "\n".join([*lines[:1], "| --- |", *lines[1:]])


def lakehop() -> tuple[Reader, tuple[str, ...]]:
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from spark_jobs.formats.document import ParsedDocument, ParseLimits
    from spark_jobs.formats.registry import format_of, read_document

    suffixes = (*_OFFICE, ".csv", ".odt", ".ods", ".rtf", ".doc", ".ppt", ".epub")
    for suffix in suffixes:
        known = format_of(f"a{suffix}")
        assert known is not None
        known.import_parsers()
    limits = ParseLimits(document_bytes=10_000_000, file_bytes=100_000_000, seconds=120, memory_mb=1024)

    def read(path: str) -> str:
        with Path(path).open("rb") as file:
            document = read_document(path, "file:///a", file, limits)
        assert isinstance(document, ParsedDocument)
        return document.text

    return read, suffixes


def markitdown() -> tuple[Reader, tuple[str, ...]]:
    from markitdown import MarkItDown

    converter = MarkItDown(enable_plugins=False)
    return lambda path: converter.convert(path).markdown, (*_OFFICE, ".csv", ".epub")


def kreuzberg() -> tuple[Reader, tuple[str, ...]]:
    from kreuzberg import ContentFilterConfig, ExtractionConfig, extract_file_sync

    content = ContentFilterConfig(include_headers=True, include_footers=True)
    configuration = ExtractionConfig(output_format="markdown", use_cache=False, content_filter=content)
    suffixes = (*_OFFICE, ".csv", ".odt", ".ods", ".rtf", ".doc", ".ppt", ".epub")
    return lambda path: extract_file_sync(path, config=configuration).content, suffixes


def docling() -> tuple[Reader, tuple[str, ...]]:
    from docling.backend.csv_backend import CsvDocumentBackend
    from docling.backend.msexcel_backend import MsExcelDocumentBackend
    from docling.backend.mspowerpoint_backend import MsPowerpointDocumentBackend
    from docling.backend.msword_backend import MsWordDocumentBackend
    from docling.datamodel.base_models import InputFormat
    from docling.datamodel.document import InputDocument

    backends = {
        ".docx": (InputFormat.DOCX, MsWordDocumentBackend),
        ".pptx": (InputFormat.PPTX, MsPowerpointDocumentBackend),
        ".xlsx": (InputFormat.XLSX, MsExcelDocumentBackend),
        ".csv": (InputFormat.CSV, CsvDocumentBackend),
    }

    def read(path: str) -> str:
        kind, backend = backends[Path(path).suffix]
        content = io.BytesIO(Path(path).read_bytes())
        document = InputDocument(path_or_stream=content, format=kind, backend=backend, filename=Path(path).name)
        return str(document._backend.convert().export_to_markdown(escape_underscores=False, escape_html=False))

    return read, tuple(backends)


def calamine() -> tuple[Reader, tuple[str, ...]]:
    from python_calamine import CalamineWorkbook

    def read(path: str) -> str:
        workbook = CalamineWorkbook.from_path(path)
        return "\n\n".join(
            f"## {name}\n\n{_table(workbook.get_sheet_by_name(name).to_python())}" for name in workbook.sheet_names
        )

    return read, (".xlsx", ".xls", ".ods")


def sniffer() -> tuple[Reader, tuple[str, ...]]:
    import csv

    def read(path: str) -> str:
        text = Path(path).read_text(encoding="utf-8")
        return _table(csv.reader(io.StringIO(text), csv.Sniffer().sniff(text[:65536], delimiters=",;\t|")))

    return read, (".csv",)


def clevercsv() -> tuple[Reader, tuple[str, ...]]:
    import clevercsv

    return lambda path: _table(clevercsv.read_table(path)), (".csv",)


def duckdb() -> tuple[Reader, tuple[str, ...]]:
    import duckdb

    def read(path: str) -> str:
        found = duckdb.read_csv(path, all_varchar=True)
        return _table([found.columns, *found.fetchall()])

    return read, (".csv",)


READERS = {
    "lakehop": lakehop, "markitdown": markitdown, "kreuzberg": kreuzberg, "docling": docling, "calamine": calamine,
    "csv.Sniffer": sniffer, "clevercsv": clevercsv, "duckdb": duckdb,
}  # fmt: skip


def main(name: str, files: Sequence[str]) -> dict[str, dict[str, Any]]:
    begun = time.perf_counter()
    read, suffixes = READERS[name]()
    import_s, import_mb = time.perf_counter() - begun, _peak_mb()
    texts: dict[str, str | None] = {}
    errors: dict[str, str] = {}
    begun = time.perf_counter()
    for path in files:
        if Path(path).suffix not in suffixes:
            continue
        signal.alarm(_SECONDS)
        try:
            texts[path] = read(path)
        except Exception as error:  # whatever a reader raises, the file is not read
            texts[path], errors[path] = None, f"{type(error).__name__}: {error}"
        signal.alarm(0)
    cost = {"import_s": import_s, "import_mb": import_mb, "read_s": time.perf_counter() - begun, "peak_mb": _peak_mb()}
    return {"texts": texts, "errors": errors, "cost": cost}


def _peak_mb() -> float:
    """Of this program alone; `getrusage` begins with the memory of the process that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _too_long(*_: object) -> None:
    raise TimeoutError(f"over {_SECONDS} s")


if __name__ == "__main__":
    sys.path.pop(0)  # this folder holds modules named like packages
    signal.signal(signal.SIGALRM, _too_long)
    with contextlib.redirect_stdout(sys.stderr):
        result = main(sys.argv[1], sys.argv[2:])
    print(json.dumps(result))
