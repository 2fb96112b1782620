"""Two writers of one entry lose nothing, the board stays small, and the trace holds its history."""

import asyncio

import pytest

from agents.answer import PassageRef
from agents.task.blackboard import MAX_CHARACTERS, MAX_ENTRIES, Blackboard, BoardFull, StaleEntry

REF = PassageRef(doc_id="Flask", chunk_id="Flask#0", title="Flask")


@pytest.fixture
def steps():
    return []


@pytest.fixture
def board(steps):
    async def note(step):
        steps.append(step)

    return Blackboard(note)


async def test_an_entry_has_its_author_version_and_provenance(board, steps):
    await board.write("a", "finding", "BSD", author="researcher", provenance=[REF])
    second = await board.write("a", "finding", "BSD-3", author="critic", read_version=1)

    assert (second.version, second.author, board.read("a"), board.read("b")) == (2, "critic", second, None)
    assert [(step.kind, step.agent, step.query, step.output) for step in steps] == [
        ("note", "researcher", "finding a v1", "BSD"),
        ("note", "critic", "finding a v2", "BSD-3"),
    ]
    assert steps[0].passages == [REF]


async def test_of_two_that_read_the_same_version_the_second_is_refused_and_nothing_is_lost(board):
    await board.write("a", "finding", "first", author="x")

    results = await asyncio.gather(
        *(board.write("a", "finding", text, author=text, read_version=1) for text in ("left", "right")),
        return_exceptions=True,
    )

    assert [type(result).__name__ for result in results] == ["Entry", "StaleEntry"]
    assert (board.read("a").text, board.read("a").version) == ("left", 2)
    with pytest.raises(StaleEntry, match=r"entry 'a': version 0 was read, 2 is there\. Read it again\."):
        await board.write("a", "finding", "new", author="x")


async def test_the_board_is_bounded(board):
    for number in range(MAX_ENTRIES):
        await board.write(f"k{number}", "finding", "x", author="x")

    with pytest.raises(BoardFull, match=f"holds {MAX_ENTRIES} entries"):
        await board.write("one_more", "finding", "x", author="x")
    with pytest.raises(BoardFull, match="at most 2,000"):
        await board.write("k1", "finding", "x" * (MAX_CHARACTERS + 1), author="x", read_version=1)
    with pytest.raises(BoardFull, match="Choose such a key"):
        await board.write("a b", "finding", "x", author="x")
    assert len(board.entries()) == MAX_ENTRIES


async def test_entries_come_by_kind_in_the_order_first_written(board):
    await board.write("p", "plan", "…", author="planner")
    await board.write("b", "finding", "1", author="x")
    await board.write("a", "finding", "2", author="x")
    await board.write("b", "finding", "3", author="x", read_version=1)

    assert [(entry.key, entry.text) for entry in board.entries("finding")] == [("b", "3"), ("a", "2")]
