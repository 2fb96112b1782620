"""tar and 7z archives, and names of ZIP members. Hostile ZIPs: `tests/spark_jobs/sources/test_files.py`."""

import io
import tarfile
import zipfile

import py7zr
import pytest

from spark_jobs.formats.document import ParseLimits, Refused
from spark_jobs.sandbox.containers import pending_documents

LIMITS = ParseLimits(document_bytes=100_000, file_bytes=1_000_000, seconds=30, memory_mb=512)


def read(name: str, content: bytes) -> dict[str, str]:
    """Text by id, or the beginning of the reason."""
    texts = {}
    for pending in pending_documents(name, "", io.BytesIO(content), LIMITS, lambda found: found.import_parsers()):
        try:
            texts[pending.doc_id] = pending.read().text
        except Refused as refused:
            texts[pending.doc_id] = str(refused).split(":")[0].split(" '")[0].split(".")[0]
    return texts


def tar(files: dict[str, bytes | None], mode: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content or b"")
            if content is None:
                entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(entry, io.BytesIO(content or b""))
    return packed.getvalue()


def seven_zip(files: dict[str, str], password: str | None = None) -> bytes:
    packed = io.BytesIO()
    with py7zr.SevenZipFile(packed, "w", password=password) as archive:
        for name, content in files.items():
            archive.writestr(content, name)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("name", "mode"), [("a.tar", "w:"), ("a.tar.gz", "w:gz"), ("a.tgz", "w:bz2"), ("a.txz", "w:xz")]
)
def test_members_of_a_tar_archive_are_documents_and_a_bad_one_costs_itself_only(name: str, mode: str) -> None:
    files = {"./a.md": b"# A", "sub/grüße.txt": b"Hi", "../e.md": b"x", "l.md": None, ".h.md": b"x", "z.md": b"Z"}

    assert read(name, tar(files, mode)) == {
        f"{name}/a.md": "# A",
        f"{name}/sub/grüße.txt": "Hi",
        f"{name}/../e.md": "its name",
        f"{name}/l.md": "a link or a device in an archive",
        f"{name}/z.md": "Z",
    }


def test_bombs_in_tar_and_7z_are_not_inflated() -> None:
    assert read("b.tgz", tar({"a.md": b"# A", "bomb.csv": b"0" * 5_000_000}, "w:gz")) == {
        "b.tgz/a.md": "# A",
        "b.tgz": "zip bomb",
    }
    assert read("b.7z", seven_zip({"bomb.csv": "0" * 5_000_000})) == {"b.7z": "zip bomb"}


def test_members_of_a_7z_archive_are_documents() -> None:
    assert read("a.7z", seven_zip({"a.md": "# A", "sub/grüße.txt": "Hi"})) == {
        "a.7z/a.md": "# A",
        "a.7z/sub/grüße.txt": "Hi",
    }
    assert read("c.7z", seven_zip({"a.md": "# A"}, password="x")) == {"c.7z": "encrypted"}


@pytest.mark.parametrize("name", ["d.tar", "d.tgz", "d.7z", "d.zip"])
def test_a_damaged_archive_is_refused(name: str) -> None:
    assert read(name, b"nonsense") == {name: "damaged"}


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("Grüße/Übersicht.md", "cp437"),
        ("Grüße/Übersicht.md", "cp1252"),
        ("Grüße/Übersicht.md", "utf-8"),
        ("Документы/Отчёт за год.md", "cp866"),
        ("書類/受付の案内.md", "cp932"),
        ("文件/员工报销的期限.md", "gbk"),
    ],
)
def test_names_of_a_zip_are_read_in_the_charset_of_the_machine_that_packed_it(name: str, encoding: str) -> None:
    stand_in = "x" * len(name.encode(encoding))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(stand_in, "Hi")

    assert read("n.zip", packed.getvalue().replace(stand_in.encode(), name.encode(encoding))) == {f"n.zip/{name}": "Hi"}
