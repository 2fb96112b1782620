"""What is remembered is its user's alone, rests on what may still be read, and is gone once it is forgotten."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lakehouse.access.permissions import Caller, acl_key
from lakehouse.analytics.sql import QueryScope, run_query
from lakehouse.errors import InvalidInput, LakehopError, NotFound, StaleWrite
from lakehouse.settings import Settings
from lakehouse.state import memory
from lakehouse.state.memory import MAX_CHARACTERS, Memories, Owner
from lakehouse.storage.delta import append, delete, ensure_tables, read_rows, upsert
from lakehouse.tables import ACL_KEYS, CHUNKS, MEMORIES

ANN = Owner("acme", "wiki", "ann")
STRANGERS = [Owner("acme", "wiki", "bob"), Owner("acme", "hr-bot", "ann"), Owner("other", "wiki", "ann")]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """With chunks c1 and c2 that the groups eng and hr may read, of two documents."""
    settings = Settings(home=tmp_path)
    ensure_tables(settings)
    keys = [{"tenant_id": "acme", "acl_key": acl_key([name]), "acl_groups": [name]} for name in ("eng", "hr")]
    upsert(settings, ACL_KEYS, keys)
    append(settings, CHUNKS, [chunk("c1", "eng"), chunk("c2", "hr")])
    return settings


@pytest.fixture
def memories(settings: Settings) -> Memories:
    return Memories(settings)


def chunk(id: str, group: str) -> dict[str, Any]:
    known = {"tenant_id": "acme", "chunk_id": id, "source": "wiki", "doc_id": f"doc-{id}", "acl_key": acl_key([group])}
    given = {"position": 0, "title": "t", "heading_path": [], "text": "t", "start_offset": 0, "end_offset": 1}
    rest = {"token_count": 1, "content_hash": "h", "acl_groups": [group], "uri": "u", "ingest_run_id": "r"}
    return {name: value for name, value in (given | rest | known).items() if name in CHUNKS.column_names}


def answered(memories: Memories, *chunk_ids: str, groups: tuple[str, ...] = ("eng", "hr")) -> memory.Memory | None:
    return memories.answer(ANN, groups, question="Who?", answer="Mia", task_id="task_1", chunk_ids=chunk_ids)


def texts(memories: Memories, owner: Owner = ANN, groups: tuple[str, ...] | None = ("eng", "hr")) -> list[str]:
    return [entry.text for entry in memories.entries(owner, groups)]


def written_about(settings: Settings, word: str) -> Iterator[Path]:
    for path in Path(MEMORIES.path(settings.warehouse_root)).rglob("*"):
        if path.suffix == ".parquet":
            if word in str(pq.ParquetFile(path).read().to_pylist()):
                yield path
        elif path.is_file() and word.encode() in path.read_bytes():
            yield path


def test_a_note_is_seen_at_once_by_its_user_in_its_app_and_by_nobody_else(
    settings: Settings, memories: Memories
) -> None:
    note = memories.note(ANN, "  I work on Orion. ")

    another_gateway = Memories(settings)
    assert another_gateway.entries(ANN, ()) == [note]
    assert (note.text, note.version, note.kind, note.expires_at - note.created_at) == (
        "I work on Orion.", 1, "note", timedelta(days=180),
    )  # fmt: skip
    for stranger in STRANGERS:
        assert texts(memories, stranger) == []
        with pytest.raises(NotFound, match="this user has none of that id"):
            memories.forget(stranger, note.memory_id)
        with pytest.raises(NotFound):
            memories.rewrite(stranger, note.memory_id, "x", 1)
    assert texts(memories, Owner("acme", None, "ann"), None) == ["I work on Orion."]  # an operator


@pytest.mark.parametrize("user", ["o'brien", 'a" OR 1=1 --', "' OR '1'='1", "%", "日本"])
def test_a_users_name_is_only_a_name(memories: Memories, user: str) -> None:
    memories.note(ANN, "Ann's own")
    memories.note(replace(ANN, user_id=user), "mine")

    assert texts(memories, replace(ANN, user_id=user)) == ["mine"]
    assert memories.forget(replace(ANN, user_id=user)).entries == 1
    assert texts(memories) == ["Ann's own"]


def test_an_answer_is_seen_while_all_that_it_rests_on_may_be_read(settings: Settings, memories: Memories) -> None:
    entry = answered(memories, "c1", "c2")
    assert entry is not None
    assert sorted(zip(entry.doc_ids, entry.sources, strict=True)) == [("doc-c1", "wiki"), ("doc-c2", "wiki")]
    assert [texts(memories, ANN, groups) for groups in (("eng", "hr"), ("eng",), ("hr",), ())] == [["Mia"], [], [], []]

    upsert(settings, CHUNKS, [chunk("c2", "board")])  # moved to others
    assert texts(memories) == []
    upsert(settings, CHUNKS, [chunk("c2", "hr")])
    assert texts(memories) == ["Mia"]
    delete(settings, CHUNKS, [chunk("c1", "eng")])  # edited or removed: a chunk's id is a hash of its text
    assert texts(memories) == []
    assert texts(memories, groups=None) == ["Mia"]  # for operators, who may forget it


def test_an_answer_is_not_kept_without_proof_or_from_what_its_user_may_not_read(memories: Memories) -> None:
    assert answered(memories) is None
    assert answered(memories, "c1", "gone") is None
    assert answered(memories, "c1", "c2", groups=("eng",)) is None
    assert answered(memories, "c1") is not None
    assert answered(memories, "c1") is not None  # the same task, done again after its process died
    assert texts(memories) == ["Mia"]


def test_of_two_that_read_the_same_version_the_second_is_refused(settings: Settings, memories: Memories) -> None:
    note = memories.note(ANN, "I work on Orion.")

    again = memories.rewrite(ANN, note.memory_id, "I work on Vega.", 1)
    with pytest.raises(StaleWrite, match="version 1 was read, and it was written since"):
        Memories(settings).rewrite(ANN, note.memory_id, "I work on Lyra.", 1)

    assert (again.version, texts(memories)) == (2, ["I work on Vega."])
    entry = answered(memories, "c1")
    assert entry
    with pytest.raises(InvalidInput, match="is an answer, which rests on documents"):
        memories.rewrite(ANN, entry.memory_id, "Ola", 1)


def _rewrite(home: Path, memory_id: str, text: str) -> bool:
    try:
        Memories(Settings(home=home)).rewrite(ANN, memory_id, text, 1)
    except StaleWrite:
        return False
    return True


def test_of_processes_that_write_at_the_same_time_one_succeeds(settings: Settings, memories: Memories) -> None:
    note = memories.note(ANN, "I work on Orion.")

    with get_context("spawn").Pool(3) as processes:
        done = processes.starmap(_rewrite, [(settings.home, note.memory_id, f"text {number}") for number in range(3)])

    assert done.count(True) == 1
    assert texts(memories) == [f"text {done.index(True)}"]


def test_what_is_forgotten_is_in_no_file_and_the_rest_stays(settings: Settings, memories: Memories) -> None:
    note = memories.note(ANN, "zyx one")
    memories.rewrite(ANN, note.memory_id, "zyx two", 1)
    memories.note(ANN, "kept")
    memories.note(STRANGERS[2], "other's")
    assert len(list(written_about(settings, "zyx"))) == 2  # the version before, too

    done = memories.forget(ANN, note.memory_id)

    assert (done.entries, done.rows_left, done.files_purged >= 2) == (1, 0, True)
    assert list(written_about(settings, "zyx")) == []
    assert (texts(memories), texts(memories, STRANGERS[2])) == (["kept"], ["other's"])
    assert memories.forget(ANN).entries == 1
    assert list(written_about(settings, "kept")) == []
    with pytest.raises(NotFound):
        memories.forget(ANN, note.memory_id)


def test_a_file_that_still_holds_it_fails_the_proof(memories: Memories, monkeypatch: pytest.MonkeyPatch) -> None:
    memories.note(ANN, "zyx")
    monkeypatch.setattr(memory, "purge_deleted", lambda *_: 0)

    with pytest.raises(LakehopError, match="1 rows of what was to be forgotten lie in files"):
        memories.forget(ANN)


def test_what_a_writer_is_about_to_commit_is_not_purged(settings: Settings, memories: Memories) -> None:
    memories.note(ANN, "mine")
    (file,) = written_about(settings, "mine")
    about_to = file.with_name("part-of-another-writer.parquet")
    about_to.write_bytes(file.read_bytes().replace(b"mine", b"next"))

    with pytest.raises(LakehopError, match="1 rows"):  # it looks like a leftover, and may be one
        memories.forget(ANN)

    assert about_to.exists()


def test_what_expired_is_seen_by_nobody(settings: Settings, memories: Memories) -> None:
    note = memories.note(ANN, "old")
    row = read_rows(settings, MEMORIES)[0]
    upsert(settings, MEMORIES, [row | {"expires_at": datetime.now(UTC) - timedelta(seconds=1)}])

    assert texts(memories, groups=None) == []
    assert memories.forget(ANN, note.memory_id).entries == 1


@pytest.mark.parametrize("text", ["", " \n", "x" * (MAX_CHARACTERS + 1)])
def test_a_text_of_no_or_of_endless_length_is_refused(memories: Memories, text: str) -> None:
    with pytest.raises(InvalidInput, match="must have 1 to 2,000 characters"):
        memories.note(ANN, text)


def test_a_memory_is_bounded(memories: Memories, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MAX_ENTRIES", 2)
    memories.note(ANN, "one")
    memories.note(ANN, "two")

    with pytest.raises(InvalidInput, match="holds 2 entries, as many as it may"):
        memories.note(ANN, "three")


def test_memory_is_a_named_users(memories: Memories) -> None:
    with pytest.raises(InvalidInput, match="name who asks, as the app knows them"):
        Owner.of(Caller("acme", (), "wiki", "key_1"))


def test_the_sql_of_an_agent_does_not_know_the_table(settings: Settings, memories: Memories) -> None:
    memories.note(ANN, "mine")

    with pytest.raises(InvalidInput, match="memories"):
        run_query(settings, "select text from silver.memories", QueryScope("acme", ("everyone",)))
    assert run_query(settings, "select text from silver.memories").rows == [{"text": "mine"}]
