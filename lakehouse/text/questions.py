"""Files of labelled questions: JSONL, one question a line with its right answers and the documents that it needs.

`lakehop eval`, `lakehop weights` and `lakehop compile` read the same file. `infra` and `agents` may not import each
other, so the reader lies below both, beside the scoring that compares answers with these labels.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, BaseModel, Field, ValidationError

from lakehouse.errors import InvalidInput

TextOrNumber = Annotated[str, Field(coerce_numbers_to_str=True)]


@dataclass(frozen=True)
class LabelledQuestion:
    """A question and its labels.

    `answers`: each text that counts as the right answer; empty: no answer is scored. `gold_ids`: ids of the documents
    that the question needs. `answerable` is False where the documents hold no answer and the program should decline.
    """

    text: str
    answers: tuple[str, ...] = ()
    gold_ids: tuple[str, ...] = ()
    id: str = ""
    answerable: bool = True


class _Line(BaseModel):
    """The fields of a line that we read; others are ignored."""

    id: TextOrNumber = ""
    question: str = Field(min_length=1)
    answer: TextOrNumber | None = None
    aliases: list[TextOrNumber] = Field(
        [], validation_alias=AliasChoices("aliases", "answer_aliases")
    )  # MuSiQue's name
    gold_ids: list[str] = []
    answerable: bool = True

    def labelled(self) -> LabelledQuestion:
        answers = tuple(text for text in (self.answer, *self.aliases) if text)
        return LabelledQuestion(self.question, answers, tuple(self.gold_ids), self.id, self.answerable)


class _LineWithId(_Line):
    id: str = Field(min_length=1)


def read_questions(path: Path, *, need_ids: bool = True) -> list[LabelledQuestion]:
    """The questions of a JSONL file, in its order. `need_ids`: each line must have an `id` of its own.

    Raises InvalidInput naming the line and what is wrong with it.
    """
    try:
        # not splitlines: it also cuts at U+2028, which JSON allows within a text
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{str(path)!r}: {error}. Name a readable JSONL file. It must be UTF-8.") from None
    line_type = _LineWithId if need_ids else _Line
    questions: list[LabelledQuestion] = []
    ids: set[str] = set()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            question = line_type.model_validate_json(line).labelled()
        except ValidationError as error:
            raise InvalidInput(f"{path.name} line {number}: {_first_fault(error)}") from None
        if need_ids and question.id in ids:
            raise InvalidInput(f"{path.name} line {number}: id {question.id!r} occurs before. Ids must be unique.")
        ids.add(question.id)
        questions.append(question)
    if not questions:
        raise InvalidInput(f"{path.name} holds no question. Write one JSON object a line.")
    return questions


def _first_fault(error: ValidationError) -> str:
    first = error.errors()[0]
    fault = f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")
    return f'{fault}. A line is {{"id", "question", "answer"?, "aliases"?, "gold_ids"?}}, and ids are strings.'
