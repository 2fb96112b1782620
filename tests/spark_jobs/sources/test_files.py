"""Files of every format, read in the converting process; a hostile file costs only itself."""

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import py7zr
import pytest

from lakehouse.settings import PROJECT_ROOT
from spark_jobs.formats.document import ParsedDocument, ParseLimits, Rejection
from spark_jobs.sandbox.converter import Converter
from spark_jobs.sources.files import converter_of_this_worker, read_path
from spark_jobs.sources.folders import local_files
from tests.spark_jobs.formats import samples

LIMITS = ParseLimits(document_bytes=100_000, file_bytes=1_000_000, seconds=30, memory_mb=512)

Read = Callable[..., list[ParsedDocument | Rejection]]


@pytest.fixture
def read(tmp_path: Path) -> Iterator[Read]:
    """Write a file and read it as a Spark worker does."""
    used: list[ParseLimits] = []

    def read(name: str, content: bytes, limits: ParseLimits = LIMITS) -> list[ParsedDocument | Rejection]:
        used.append(limits)
        path = tmp_path / name
        path.write_bytes(content)
        return list(read_path(name, path.as_uri(), str(path), limits))

    yield read
    for limits in used:
        if limits != LIMITS:
            converter_of_this_worker(limits).close()


def texts(parsed: list[ParsedDocument | Rejection]) -> dict[str | None, str]:
    """Text by id, or the beginning of the reason."""
    return {
        result.doc_id: result.text if isinstance(result, ParsedDocument) else result.reason.split(":")[0]
        for result in parsed
    }


def only(parsed: list[ParsedDocument | Rejection]) -> Any:
    assert len(parsed) == 1
    return parsed[0]


def test_office_files_become_markdown(read: Read) -> None:
    assert only(read("plan.docx", samples.docx("Launch is in May.", "Mia leads."))).text == (
        "Launch is in May.\n\nMia leads."
    )
    assert only(read("talk.pptx", samples.pptx("Roadmap", "Ship it."))).title == "Roadmap"
    book = only(read("cost.xlsx", samples.xlsx({"May": [["item", "usd"], ["a|b", 1.5]], "Empty": []})))
    assert (book.title, book.text) == ("cost.xlsx", "## May\n\n| item | usd |\n| --- | --- |\n| a\\|b | 1.5 |")
    assert only(read("report.pdf", samples.pdf("Revenue rose.", "Costs fell."))).text.split() == [
        "Revenue", "rose.", "Costs", "fell.",
    ]  # fmt: skip


def test_tables_of_text_become_markdown(read: Read) -> None:
    assert only(read("a.csv", b"name;city\n\nMia;Rome\n")).text == "| name | city |\n| --- | --- |\n| Mia | Rome |"
    assert only(read("b.csv", "näme,city\nMia,\n".encode("utf-16"))).text == "| näme | city |\n| --- | --- |\n| Mia |"
    assert only(read("c.csv", b"a,b\n" * 100_000)).reason.startswith("oversize: a table of over 100,")


def test_a_mail_and_its_attachments_are_documents(read: Read) -> None:
    attached = {"plan.docx": samples.docx("Launch."), "logo.png": b"\x89PNG", "sub.eml": samples.mail("In", "Hi", {})}
    parsed = read("m.eml", samples.mail("Plans", "See attached.", attached))

    mail = parsed[0]
    assert isinstance(mail, ParsedDocument)
    assert (mail.doc_id, mail.title) == ("m.eml", "Plans")
    assert mail.updated_at == datetime(2026, 11, 5, 9, 30, tzinfo=UTC)
    assert mail.text.startswith("# Plans\n\n- From: mia@example.com\n- To: team@example.com\n- Date: Thu, 05 Nov 2026")
    assert mail.text.endswith("\n\nSee attached.\n")
    assert texts(parsed[1:]) | {"m.eml/sub.eml": ""} == {
        "m.eml/plan.docx": "Launch.",
        "m.eml/logo.png": "unsupported file type '.png'",
        "m.eml/sub.eml": "",
    }


def test_an_outlook_mail_keeps_sender_copies_html_body_and_attachments(read: Read) -> None:
    headers = {"0037": "Plans", "0C1A": "Mia", "0C1F": "mia@example.com", "0E04": "Team", "0E03": "Board"}
    plan = "Launch. " * 600
    message = samples.outlook_mail(headers, "<p>See <b>attached</b>.</p>", {"plan.txt": plan.encode()})

    mail, attached = read("m.msg", message)

    assert (mail.doc_id, mail.title) == ("m.msg", "Plans")
    assert mail.text == "# Plans\n\n- From: Mia\n- To: Team\n- Cc: Board\n\nSee **attached**.\n"
    assert (attached.doc_id, attached.text) == ("m.msg/plan.txt", plan)


def test_members_of_an_archive_are_documents_and_a_bad_one_costs_itself_only(read: Read) -> None:
    inner = samples.zipped({"deep.md": "Deep."})
    for _ in range(3):
        inner = samples.zipped({"in.zip": inner})
    members: dict[str, bytes | str] = {
        "a.md": "# A",
        "sub/plan.docx": samples.docx("Launch."),
        "../escape.md": "out",
        "/root.md": "out",
        "C:\\win.md": "out",
        "sub\\b.txt": "B.",
        "bomb.txt": b"0" * 2_000_000,
        "blank.txt": b" " * 999_999,
        "broken.zip": b"PK\x03\x04 no zip",
        "nested.zip": inner,
        ".hidden.md": "no",
        "__MACOSX/a.md": "no",
        "z.md": "Last.",
    }
    parsed = read("a.zip", samples.encrypted_zip(members | {"locked.md": "x"}, "locked.md"))

    refused = {result.doc_id: result for result in parsed if isinstance(result, Rejection)}
    assert {result.doc_id: result.text for result in parsed if isinstance(result, ParsedDocument)} == {
        "a.zip/a.md": "# A",
        "a.zip/sub/plan.docx": "Launch.",
        "a.zip/sub/b.txt": "B.",
        "a.zip/z.md": "Last.",
    }
    assert {
        doc_id: rejection.reason.split(":")[0].split(" '")[0].split(".")[0] for doc_id, rejection in refused.items()
    } == {
        "a.zip/../escape.md": "its name",
        "a.zip//root.md": "its name",
        "a.zip/C:/win.md": "its name",
        "a.zip/bomb.txt": "oversize",
        "a.zip/blank.txt": "oversize",
        "a.zip/broken.zip": "damaged",
        "a.zip/nested.zip/in.zip/in.zip/in.zip": "nested deeper than 3 archives or mails",
        "a.zip/locked.md": "encrypted",
    }
    assert refused["a.zip/broken.zip"].covers == "a.zip/broken.zip/"
    assert str(refused["a.zip/locked.md"].uri).endswith("/a.zip#locked.md")


def test_archives_of_all_kinds_are_read_within_the_process_limits(read: Read) -> None:
    packed = io.BytesIO()
    with py7zr.SevenZipFile(packed, "w") as archive:
        archive.writestr("Launch.", "plan.md")
    box = b"From a\nFrom: mia@example.com\nSubject: Plan\n\nLaunch.\n"

    assert texts(read("a.7z", packed.getvalue())) == {"a.7z/plan.md": "Launch."}
    assert texts(read("a.mbox", box)) == {"a.mbox/00001.eml": "# Plan\n\n- From: mia@example.com\n\nLaunch.\n"}


def test_a_zip_bomb_is_not_inflated(read: Read) -> None:
    roomy = ParseLimits(100_000, 5_000_000, 30, 512)
    ratio = texts(read("one.zip", samples.zipped({"bomb.csv": b"0" * 4_900_000, "ok.md": "Fine."}), roomy))
    assert ratio == {"one.zip/bomb.csv": "zip bomb", "one.zip/ok.md": "Fine."}

    total = only(read("many.zip", samples.zipped({f"{n}.txt": b"0" * 900_000 for n in range(12)})))
    assert total.reason.startswith("zip bomb: 10,800,000 bytes inflated, at most 10,000,000")
    assert total.covers == "many.zip/"

    sheet = samples.zipped({"[Content_Types].xml": "<x/>", "xl/a.xml": b"0" * 11_000_000})
    assert only(read("bomb.xlsx", sheet)).reason.startswith("zip bomb: 11,000,004 bytes inflated")


REFUSED = {
    "torn.pdf": (samples.pdf("One.", "Two.")[:-300], "truncated: the PDF ends before its end mark"),
    "no.pdf": (b"hello", "damaged: no PDF"),
    "locked.pdf": (samples.encrypted_pdf(), "encrypted: the PDF is under a password"),
    "locked.docx": (samples.encrypted_office(), "encrypted: the file is under a password"),
    "locked.xlsx": (samples.encrypted_office(), "encrypted: the file is under a password"),
    "torn.docx": (samples.docx("x" * 5000)[:-100], "damaged: no valid Office file"),
    "other.docx": (samples.zipped({"a.txt": "no Word file"}), "damaged: no valid .docx file"),
    "dtd.docx": (
        samples.docx("&x;", prolog='<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/hostname">]>'),
        "its part 'word/document.xml' declares a DTD",
    ),
    "text.xls": (b"not a workbook", "damaged: no valid .xls file"),
    "empty.docx": (samples.docx(), "empty text"),
    "no.eml": (b"hello\n", "damaged: no mail"),
    "no.msg": (b"hello\n", "damaged: no valid .msg file"),
    "no.zip": (b"hello\n", "damaged: no valid ZIP file"),
    "large.pdf": (b"%PDF" * 300_000, "oversize: 1,200,000 bytes, at most 1,000,000 are allowed"),
    "large.docx": (samples.docx("word " * 30_000), "oversize: 149,9"),
    "deep.html": (b"<div>" * 3000, "HTML nested too deep"),
    "lfs.md": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer"),
}


@pytest.mark.parametrize(("name", "content", "reason"), [(name, *rest) for name, rest in REFUSED.items()], ids=REFUSED)
def test_a_bad_file_is_refused_with_the_reason(read: Read, name: str, content: bytes, reason: str) -> None:
    refused = only(read(name, content))

    assert isinstance(refused, Rejection)
    assert refused.reason.startswith(reason)
    assert refused.doc_id == name


def test_macros_are_neither_run_nor_read(read: Read) -> None:
    macro = b'Sub AutoOpen() Shell "touch /tmp/owned" End Sub'

    assert only(read("plan.docm", samples.docx("Launch.", macro=macro))).text == "Launch."
    assert only(read("plan.docx", samples.docx("Launch.", macro=macro))).text == "Launch."


def test_a_text_file_of_two_gigabytes_is_never_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.txt"
    with path.open("wb") as file:
        file.write(b"begin")
        file.truncate(2 * 2**30)
    before = psutil.Process().memory_info().rss

    refused = only(list(read_path("huge.txt", path.as_uri(), str(path), LIMITS)))

    assert refused.reason.startswith("oversize: 2,147,483,648 bytes")
    assert refused.excerpt.startswith("begin")
    assert psutil.Process().memory_info().rss - before < 50_000_000


def test_a_link_that_appears_after_the_listing_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("outside")
    root = tmp_path / "docs"
    root.mkdir()
    (root / "a.md").write_text("inside")
    (root / "in.md").symlink_to("a.md")
    listed = {row["doc_id"]: row["path"] for row in local_files(root)}
    (root / "a.md").unlink()
    (root / "a.md").symlink_to(tmp_path / "secret.md")

    for doc_id in ("a.md", "in.md"):
        refused = only(list(read_path(doc_id, "file:///a", listed[doc_id], LIMITS)))
        assert refused.reason == "became a link since the folder was listed. Put the file itself there."

    (root / "a.md").unlink()
    os.mkfifo(root / "a.md")
    assert only(list(read_path("a.md", "file:///a", listed["a.md"], LIMITS))).reason.startswith("cannot be read")


def slow_csv(rows: int) -> bytes:
    return b"a,b\n" + b"1,2\n" * rows


def test_what_takes_too_long_is_stopped_and_the_next_goes_on(read: Read) -> None:
    quick = ParseLimits(50_000_000, 50_000_000, 1, 2048)
    endless = slow_csv(4_000_000)
    archive = samples.zipped({"a.md": "First.", "z.md": "Last."})
    read("warm.zip", archive, quick)
    started_at = time.monotonic()

    refused = only(read("slow.csv", endless, quick))

    assert refused.reason.startswith("took more than 1 s to read and was stopped.")
    assert time.monotonic() - started_at < 20
    assert texts(read("next.zip", archive, quick)) == {"next.zip/a.md": "First.", "next.zip/z.md": "Last."}


def test_what_takes_too_much_memory_is_stopped_and_its_neighbours_in_an_archive_are_not_lost(read: Read) -> None:
    small = ParseLimits(50_000_000, 20_000_000, 60, 64)
    rows = os.urandom(300_000).hex().encode() + b"\n"
    members: dict[str, bytes | str] = {"a.md": "First.", "fat.csv": rows * 30, "z.md": "Last."}

    parsed = texts(read("a.zip", samples.zipped(members), small))

    assert parsed == {
        "a.zip/a.md": "First.",
        "a.zip/fat.csv": "needs more than 64 MB to read. Split or simplify it, or raise LAKEHOP_DOCUMENT_MEMORY_MB.",
        "a.zip/z.md": "Last.",
    }


def converting_processes(parent: int) -> list[psutil.Process]:
    children = psutil.Process(parent).children(recursive=True)
    return [child for child in children if "spark_jobs.sandbox.process" in child.cmdline()]


@pytest.mark.parametrize(("crashes_at", "lost"), [("b.csv", ["a.zip/b.csv"]), (None, [])])
def test_a_crash_of_the_reader_costs_the_document_that_it_was_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crashes_at: str | None, lost: list[str]
) -> None:
    """`crashes_at` None: on the way from the first document to the next."""
    converter = Converter(ParseLimits(50_000_000, 50_000_000, 60, 1024))
    frames, killed = converter._frames, []

    def killing(*arguments: Any) -> Iterator[dict[str, Any]]:
        for frame in frames(*arguments):
            is_there = frame.get("begin", "").endswith(crashes_at) if crashes_at else "text" in frame
            if is_there and not killed:
                assert converter._process is not None
                killed.append(converter._process.pid)
                os.kill(killed[0], signal.SIGSEGV)
            yield frame

    monkeypatch.setattr(converter, "_frames", killing)
    rows = b"".join(b"%d,%d\n" % (number, number * 7919 % 100_003) for number in range(300_000))
    path = tmp_path / "a.zip"
    path.write_bytes(samples.zipped({"a.md": "A.", "b.csv": rows, "c.md": "C."}))
    try:
        with path.open("rb") as file:
            parsed = list(converter.convert("a.zip", path.as_uri(), file))
    finally:
        converter.close()

    assert [result.doc_id for result in parsed] == ["a.zip/a.md", "a.zip/b.csv", "a.zip/c.md"]
    refused = [result for result in parsed if isinstance(result, Rejection)]
    assert [rejection.doc_id for rejection in refused] == lost
    assert all(rejection.reason.startswith("stopped its reader by signal 11") for rejection in refused)
    assert killed


def test_the_process_dies_with_the_worker_that_started_it(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text("<p>Hi</p>")
    script = (
        "import sys, time\nfrom spark_jobs.sources.files import read_path\n"
        "from spark_jobs.formats.document import ParseLimits\n"
        f"print(list(read_path('a.html', '', {str(path)!r}, ParseLimits(10**6, 10**6, 30, 512))), flush=True)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=PROJECT_ROOT) as worker:
        assert worker.stdout is not None
        assert b"Hi" in worker.stdout.readline()
        [child] = converting_processes(worker.pid)
        worker.kill()
        psutil.wait_procs([child], timeout=10)
        assert not child.is_running()


def test_the_process_may_reach_no_network_program_or_file(tmp_path: Path) -> None:
    outside = tmp_path / "secret"
    outside.write_text("x")
    attempts = {
        "open": f"open({str(outside)!r})",
        "write": "open('/dev/shm/owned', 'w')",
        "connect": "__import__('socket').create_connection(('127.0.0.1', 9), 1)",
        "program": "__import__('subprocess').run(['true'])",
        "shell": "__import__('os').system('true')",
    }
    lines = "\n".join(
        f"try:\n    {code}\n    print({name!r})\nexcept PermissionError:\n    pass" for name, code in attempts.items()
    )
    script = (
        "import socket, subprocess\nfrom spark_jobs.sandbox.process import forbid_side_effects\n"
        f"forbid_side_effects()\n{lines}\nprint('end')"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=PROJECT_ROOT, check=True)

    assert done.stdout == "end\n"


def on_path(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str = "") -> None:
    """Make `tesseract`, which runs the script, the only program on PATH; without a script PATH has no program."""
    folder.mkdir()
    if script:
        program = folder / "tesseract"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


OCR = ParseLimits(100_000, 5_000_000, 60, 1024)


@pytest.fixture
def converter() -> Iterator[Converter]:
    converter = Converter(OCR)
    yield converter
    converter.close()


def convert(converter: Converter, path: Path, content: bytes) -> Any:
    path.write_bytes(content)
    with path.open("rb") as file:
        return only(list(converter.convert(path.name, path.as_uri(), file)))


def test_a_scanned_pdf_is_read_by_tesseract(
    converter: Converter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path(tmp_path / "bin", monkeypatch, "/bin/cat >/dev/null; echo Read by a fake.")

    parsed = convert(converter, tmp_path / "scan.pdf", samples.scanned_pdf("First page", "Second page"))

    assert parsed.text == "Read by a fake.\n\nRead by a fake."


def test_a_scanned_pdf_is_refused_where_tesseract_is_missing_or_fails(
    converter: Converter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path(tmp_path / "none", monkeypatch)
    missing = convert(converter, tmp_path / "scan.pdf", samples.scanned_pdf("First page"))
    converter.close()
    on_path(tmp_path / "bin", monkeypatch, "echo no language data >&2; exit 1")
    failing = convert(converter, tmp_path / "scan.pdf", samples.scanned_pdf("First page"))

    assert missing.reason.startswith("scanned: the PDF has no text, and OCR needs `tesseract`")
    assert failing.reason.startswith("scanned: tesseract failed on page 1 (no language data).")


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="needs tesseract")
def test_the_real_tesseract_reads_a_scanned_page(converter: Converter, tmp_path: Path) -> None:
    parsed = convert(converter, tmp_path / "scan.pdf", samples.scanned_pdf("Launch is in May"))

    assert parsed.text == "Launch is in May"
