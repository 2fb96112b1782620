"""Jupyter notebooks (.ipynb): Markdown, code and what it printed; no pictures."""

import json
import re
from typing import Any

from spark_jobs.formats.document import ExtractedText, Refused
from spark_jobs.formats.source_code import fenced
from spark_jobs.formats.text import text_format, without_data

_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")  # of a terminal, in tracebacks
_MAX_OUTPUT = 5_000  # characters of one output: a notebook may have printed a whole table


def read_notebook(text: str) -> ExtractedText:
    """The cells in their order; the title is the first heading."""
    try:
        notebook = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refused(f"damaged: no valid notebook ({error}). Save it again in Jupyter.") from None
    worksheets = notebook.get("worksheets") if isinstance(notebook, dict) else None  # before version 4
    holder = worksheets[0] if isinstance(worksheets, list) and worksheets else notebook
    cells = holder.get("cells") if isinstance(holder, dict) else None
    if not isinstance(cells, list):
        raise Refused("damaged: no notebook (it has no cells). Save it again in Jupyter.")
    language = _language(notebook)
    pieces = [piece for cell in cells if isinstance(cell, dict) for piece in _cell(cell, language)]
    return ExtractedText(without_data("\n\n".join(piece.strip("\n") for piece in pieces if piece.strip())))


def _language(notebook: dict[str, Any]) -> str:
    metadata = notebook.get("metadata")
    info = metadata.get("language_info") if isinstance(metadata, dict) else None
    return str(info.get("name", "python")) if isinstance(info, dict) else "python"


def _cell(cell: dict[str, Any], language: str) -> list[str]:
    source = _joined(cell.get("source", cell.get("input")))
    if cell.get("cell_type") == "code":
        outputs = cell.get("outputs")
        shown = [_output(output) for output in outputs if isinstance(output, dict)] if isinstance(outputs, list) else []
        return [fenced(source, language), *(fenced(output, "text") for output in shown)]
    return [f"{'#' * int(cell.get('level', 1))} {source}" if cell.get("cell_type") == "heading" else source]


def _output(output: dict[str, Any]) -> str:
    """What a cell printed, as text; of an error its last line."""
    if output.get("output_type") == "error":
        return f"{output.get('ename')}: {output.get('evalue')}"
    data = output.get("data")
    text = _joined(output.get("text") or (data.get("text/plain") if isinstance(data, dict) else None))
    text = _COLOUR.sub("", text)
    left_out = len(text) - _MAX_OUTPUT
    return text if left_out <= 0 else f"{text[:_MAX_OUTPUT]}\n… {left_out:,} characters more"


def _joined(lines: Any) -> str:
    return "".join(map(str, lines)) if isinstance(lines, list) else str(lines or "")


FORMATS = (text_format("notebook", (".ipynb",), read_notebook),)
