"""Readers of Office files and tables side by side: words kept, cells under their header, seconds, memory.

    python -m tests.benchmarks.readers CASES MARKITDOWN --peers-python VENV/bin/python

CASES holds files of public reports, MARKITDOWN that project's test files; more are made from the parts of our tests.
Each reader runs in a process of its own. The peers want an environment of their own:
`uv pip install "markitdown[docx,pptx,xls,xlsx]" kreuzberg "docling-slim[format-docx,format-pptx,format-xlsx]"
python-calamine clevercsv duckdb`.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from tests.spark_jobs.formats.office_samples import (
    binary_powerpoint,
    binary_word,
    cell,
    open_document,
    paragraph,
    word_file,
    workbook,
)

READERS = ("lakehop", "markitdown", "kreuzberg", "docling", "calamine", "csv.Sniffer", "clevercsv", "duckdb")


@dataclass(frozen=True)
class Facts:
    """What a reader should keep of a file: words, and cells as (a cell of the row, column, value)."""

    words: tuple[str, ...] = ()
    cells: tuple[tuple[str, str, str], ...] = ()
    absent: tuple[str, ...] = field(default=())


_CASES = {
    "01*/in/preise.csv": Facts(cells=(("QX-1003", "Preis, EUR", "13,50"), ("QX-1003", "Gewicht, kg", "0,73"))),
    "02*/in/incidents.csv": Facts(cells=(("Chiara", "note", 'pipe 12" wide, painted'), ("Bogdan", "owner", "Bogdan"))),
    "03*/in/ratings.csv": Facts(("Kalibrierung",), (("Kalibrierung bestanden", "id", "2"),)),
    "06*/in/umsatz.xlsx": Facts(cells=(("Fulda", "Region", "Nordhessen"), ("Speyer", "Region", "Pfalz"))),
    "08*/in/kosten.xlsx": Facts(("Auswertung",), (("Summe Posten", "Betrag", "=SUM(B2:B3)"),)),
    "10*/in/inventar.xlsx": Facts(cells=(("Zentrifuge Rotanta", "Standort", "Labor 3"),)),
    "10*/in/laborordnung.docx": Facts(("Spektralraum",)),
    "11*/in/lieferquoten.docx": Facts(cells=(("Verteiler", "Werk", "Emden"), ("Muffe", "Stück", "9"))),
    "13*/in/pruefanweisung.docx": Facts(("QMH-8842", "Virtanen")),
    "14*/in/rahmenvertrag.docx": Facts(("2.2 Transportschaden",)),
    "15*/in/betrieb.docx": Facts(("worker_lease_ttl_seconds",)),
    "57*/in/nachtrag.docx": Facts(
        ("vierzigtausend", "Ambossring", "AZ-6120"),
        (("Schieblehre", "Innen B", "Bügelmessschraube"),),
        ("fünfundzwanzigtausend",),
    ),
}
_SHEETS = Facts(("6ff4173b-42a5-4784-9b19-f49caff4d93d",), (("affc7dad-52dc-4b98-9b5d-51e65d8a8ad0", "ColA", "13"),))
_MARKITDOWN = {
    "test.docx": Facts(("314b0a30-5b04-470b-b9f7-eed2c2bec74a", "d666f1f7-46cb-42bd-9a39-9a39cf2a509f")),
    "test_with_comment.docx": Facts(("49e168b7-d2ae-407f-a055-2167576f39a1", "This is a test comment. 12df-321a")),
    "equations.docx": Facts((r"\frac", "36.1.3")),
    "test.xlsx": _SHEETS,
    "test.xls": _SHEETS,
    "test.pptx": Facts(
        ("2cdda5c8-e50e-4db4-b5f0-9722a649f455", "44bf7d06-5e7a-4a40-a2e1-a2e42ef28c8a", "Comment 1"),
        (("1b92870d-e3b5-4e65-8153-919f4ff45592", "ColB", "8"), ("2001", "Series 1", "2001")),
    ),
    "test.epub": Facts(("Test Content", "blockquote")),
    "test.rtf": Facts(("Sample RTF File",)),
}
_SHEET = "<table:table table:name='S'>{}</table:table>"
_ROW = "<table:table-row>{}</table:table-row>"
_CELL = "<table:table-cell {}><text:p>{}</text:p></table:table-cell>"


def _made() -> dict[str, tuple[bytes, Facts]]:
    """Files from the parts of our tests, with their facts."""
    shown = {"A1": "code", "B1": "share", "A2": (815, "00000"), "B2": (0.195, "0.0%")}
    merged = _CELL.format("table:number-rows-spanned='2'", "North") + _CELL.format("", "Kassel")
    rows = [_CELL.format("", "Region") + _CELL.format("", "Town"), merged]
    rows.append("<table:covered-table-cell/>" + _CELL.format("", "Fulda"))
    sheet = _SHEET.format("".join(map(_ROW.format, rows)))
    note = "<text:p>Text<text:note><text:note-body><text:p>noted</text:p></text:note-body></text:note></text:p>"
    box = "<w:ins w:id='1'><w:r><w:t>inserted</w:t></w:r></w:ins>"
    box += "<w:moveTo w:id='2'><w:r><w:t>moved</w:t></w:r></w:moveTo>"
    table = f"<w:tbl><w:tr>{cell(paragraph('A'))}{cell(paragraph('B'))}</w:tr><w:tr><w:trPr><w:gridBefore w:val='1'/>"
    table += f"</w:trPr>{cell(paragraph('under B'))}</w:tr></w:tbl>"
    rich = r"{\rtf1\ansi\ansicpg1252 Pr\'fcfdruck\par\trowd\cellx1\cellx2 a\cell b\cell\row\trowd 1\cell 2\cell\row}"
    slides = binary_powerpoint("Click to edit Master title style", "Launch in May")
    return {
        "shown.xlsx": (workbook(S=shown), Facts(cells=(("19.5%", "code", "00815"),))),
        "merged.ods": (open_document("spreadsheet", sheet), Facts(cells=(("Fulda", "Region", "North"),))),
        "note.odt": (open_document("text", note), Facts(("noted",))),
        "moved.docx": (
            word_file(f"<w:p>{box}</w:p>{table}"),
            Facts(("inserted", "moved"), (("under B", "B", "under B"),)),
        ),
        "table.rtf": (rich.encode(), Facts(("Prüfdruck",), (("1", "b", "2"),))),
        "old.doc": (binary_word("Der Prüfdruck beträgt 6 bar.\r"), Facts(("Prüfdruck",))),
        "old.ppt": (slides, Facts(("Launch in May",), absent=("Click to edit",))),
    }


def _cells(line: str) -> list[str]:
    return [one.strip().replace("\\|", "|").replace("&amp;", "&") for one in line.strip().strip("|").split(" | ")]


def _has_cell(text: str, key: str, column: str, value: str) -> bool:
    header: list[str] = []
    for line in text.splitlines():
        if not line.lstrip().startswith("|"):
            header = []
            continue
        cells = _cells(line)
        if not header:
            header = cells
        elif key in cells:
            return column in header[: len(cells)] and cells[header.index(column)] == value
    return False


def _score(texts: dict[str, str], facts: dict[str, Facts]) -> tuple[int, int, int, int]:
    words = words_kept = cells = cells_right = 0
    for name, known in facts.items():
        text = texts.get(name, "")
        words += len(known.words) + len(known.absent)
        words_kept += sum(word in text for word in known.words) + sum(
            bool(text) and word not in text for word in known.absent
        )
        cells += len(known.cells)
        cells_right += sum(_has_cell(text, *one) for one in known.cells)
    return words_kept, words, cells_right, cells


@click.command()
@click.argument("cases", type=click.Path(exists=True, path_type=Path))
@click.argument("markitdown", type=click.Path(exists=True, path_type=Path))
@click.option("--peers-python", default=sys.executable, show_default=True, help="Python that has the peers installed.")
@click.option("--readers", default=",".join(READERS), show_default=True)
@click.option("--misses", is_flag=True, help="Print each fact that a reader lost.")
def main(cases: Path, markitdown: Path, peers_python: str, readers: str, misses: bool) -> None:
    """Print a table of the readers, a row for each and its kind of file."""
    with tempfile.TemporaryDirectory() as folder:
        facts: dict[str, Facts] = {}
        for name, (content, known) in _made().items():
            Path(folder, name).write_bytes(content)
            facts[str(Path(folder, name))] = known
        facts |= {str(next(cases.glob(pattern))): known for pattern, known in _CASES.items()}
        facts |= {str(next(markitdown.rglob(name))): known for name, known in _MARKITDOWN.items()}
        print("| reader | files | read | words | cells | import s | import MB | files s | peak MB |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
        for reader in readers.split(","):
            python = sys.executable if reader == "lakehop" else peers_python
            print(_line(reader, _run(python, reader, list(facts)), facts, misses), flush=True)


def _run(python: str, reader: str, files: Sequence[str]) -> dict[str, dict[str, object]]:
    worker = str(Path(__file__).with_name("readers_worker.py"))
    done = subprocess.run([python, worker, reader, *files], capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(f"{reader}: {done.stderr[-500:]}")
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def _line(reader: str, result: dict[str, dict[str, object]], facts: dict[str, Facts], misses: bool) -> str:
    texts = {name: str(text) for name, text in result["texts"].items() if text}
    asked = {name: known for name, known in facts.items() if name in result["texts"]}
    words_kept, words, cells_right, cells = _score(texts, asked)
    if misses:
        for name, known in asked.items():
            lost = [word for word in known.words if word not in texts.get(name, "")]
            lost += [str(one) for one in known.cells if not _has_cell(texts.get(name, ""), *one)]
            if lost:
                print(
                    f"{reader} {Path(name).name}: {lost} {str(result['errors'].get(name, ''))[:100]}", file=sys.stderr
                )
    cost = result["cost"]
    return (
        f"| {reader} | {len(asked)} | {len(texts)} | {words_kept} of {words} | {cells_right} of {cells} "
        f"| {cost['import_s']:.1f} | {cost['import_mb']:.0f} | {cost['read_s']:.1f} | {cost['peak_mb']:.0f} |"
    )


if __name__ == "__main__":
    main()
