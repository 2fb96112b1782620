"""Files of labelled questions: what a line may hold, and how a bad line is named."""

from pathlib import Path

import pytest

from lakehouse.errors import InvalidInput
from lakehouse.text.questions import LabelledQuestion, read_questions


def test_a_line_gives_the_question_with_all_its_labels(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    lines = [
        '{"id": "1", "question": "a", "answer": 3, "aliases": ["three"], "gold_ids": ["x"], "level": "hard"}',
        "",
        '{"id": "2", "question": "c", "answer": "d", "answer_aliases": ["e"]}',  # as MuSiQue writes them
        '{"id": "3", "question": "f", "answerable": false}',
    ]
    path.write_text("\n".join(lines))
    assert read_questions(path) == [
        LabelledQuestion("a", ("3", "three"), ("x",), "1"),
        LabelledQuestion("c", ("d", "e"), (), "2"),
        LabelledQuestion("f", (), (), "3", answerable=False),
    ]


def test_a_file_of_windows_and_a_line_separator_within_a_text_are_read(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_bytes('\ufeff{"id": "1", "question": "a\u2028b"}\r\n{"id": "2", "question": "c"}\r\n'.encode())

    assert [question.text for question in read_questions(path)] == ["a\u2028b", "c"]


def test_ids_may_be_left_out_where_nothing_is_stored_by_them(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text('{"question": "a"}\n{"id": 7, "question": "b"}\n{"id": 7, "question": "c"}\n')
    assert [question.id for question in read_questions(path, need_ids=False)] == ["", "7", "7"]
    with pytest.raises(InvalidInput, match="line 1: id: Field required"):
        read_questions(path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"id": "1", "question": "q"}\n{"id": "2"}\n', r"questions.jsonl line 2: question: Field required"),
        ('{"id": 1, "question": "q"}\n', "line 1: id: Input should be a valid string.*ids are strings"),
        ('{"id": "1", "question": ""}\n', "line 1: question: String should have at least 1 character"),
        ('{"id": "1", "question": "q", "gold_ids": "a"}\n', "line 1: gold_ids: Input should be a valid"),
        ("\n\nnot json\n", "line 3: Invalid JSON"),
        ("[]\n", "line 1: Input should be an object"),
        ('{"id": "1", "question": "q"}\n{"id": "1", "question": "r"}\n', "line 2: id '1' occurs before"),
        ("\n", "holds no question"),
    ],
)
def test_a_bad_questions_file_is_refused_by_line(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=complaint):
        read_questions(path)


def test_a_questions_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"none\.jsonl.*No such file"):
        read_questions(tmp_path / "none.jsonl")
