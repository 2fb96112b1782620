"""Writes the answers that a copied span cannot give: explanations, steps, lists and comparisons.

1. Evidence is gathered (`evidence`), at first the passages of the caller's search.
2. Where the model can write (`LAKEHOP_LLM_WRITES`), it drafts lines that cite numbered passages. A list is drafted
   from several groups of passages at the same time, so that no item is left out for want of room.
3. Each line is held against its passages; what they do not carry is dropped (`checking`).
4. Where the model cannot write, or nothing that it wrote is left, pieces of the passages are the answer (`extracting`).
"""

import asyncio
from collections.abc import Sequence
from itertools import batched

import dspy

from agents.answer import Form, Turn
from agents.prompting.adapter import FIELD_CHARACTERS
from agents.reading.answerability import NothingFound, names_a_document
from agents.task.purpose import ask_model
from agents.task.task import Task
from agents.writing.checking import Checked, checked
from agents.writing.composing import compose
from agents.writing.drafts import read_draft
from agents.writing.evidence import Subject, gather, worth_reading
from agents.writing.extracting import extract
from agents.writing.numbered import numbered
from agents.writing.signatures import SIGNATURES
from lakehouse.errors import InvalidInput
from lakehouse.index.passages import Passage
from lakehouse.text.folding import folded

WRITING_PROGRAMS = ("multihop",)
"""Programs that choose a form, and that read the turns before a question."""
WRITTEN_FORMS: tuple[Form, ...] = tuple(SIGNATURES)
GROUP = 5  # passages in one prompt
MAX_LEADS = 4  # documents that a question names
MAX_GROUPS = 4  # of a list: 20 passages, as many as a search finds


def check_writing(program: str, style: Form | None, history: Sequence[Turn]) -> None:
    """Raise InvalidInput for a style or a history that the program would ignore."""
    for name, given in (("style", style), ("history", history)):
        if given and program not in WRITING_PROGRAMS:
            raise InvalidInput(
                f"{name}: program {program!r} does not use it, {' and '.join(WRITING_PROGRAMS)} does. "
                f"Ask that one, or leave {name} out."
            )


class Writer:
    """The predictors of written answers, by form. They are not compiled: demonstrations are of spans."""

    def __init__(self) -> None:
        self._predictors = {
            form: dspy.Predict(signature, agent=f"write_{form}") for form, signature in SIGNATURES.items()
        }

    async def answer(self, task: Task, form: Form, subject: Subject, found: Sequence[Passage]) -> str:
        """Answer in a form from what was found and what that leads to. Raises NothingFound."""
        passages = worth_reading(subject, await gather(task, subject, found))
        if form in ("explanation", "comparison"):
            passages = await _with_leads(task, subject, passages)
        sides = subject.sides
        written = Checked()
        if task.writes_answers:
            written = await self._written(task, form, subject, passages)
        if not written.statements:
            form, written = extract(form, subject, passages)
            task.form = form
        if not written.statements:
            raise NothingFound("no passage that was found answers it")
        text = compose(form, written.statements, sides)
        if form == "list":
            self._count_documents(task, written, passages)
        await task.propose(text, written.citations, written.statements, written.dropped)
        return text

    def _count_documents(self, task: Task, written: Checked, passages: Sequence[Passage]) -> None:
        """Tell how many documents the list was made from, and how many more were found."""
        read = passages[: GROUP * MAX_GROUPS] if task.writes_answers else []
        documents = {passage.doc_id for passage in read} | {citation.doc_id for citation in written.citations}
        task.documents_read = len(documents)
        task.documents_left = len({passage.doc_id for passage in passages} - documents)

    async def _written(self, task: Task, form: Form, subject: Subject, passages: Sequence[Passage]) -> Checked:
        groups = [list(group) for group in batched(passages, GROUP)]
        groups = groups[: MAX_GROUPS if form == "list" else 1]
        drafts = await asyncio.gather(*(self._draft(task, form, subject, group) for group in groups))
        return _united(drafts)

    async def _draft(self, task: Task, form: Form, subject: Subject, passages: Sequence[Passage]) -> Checked:
        shown = numbered(passages, FIELD_CHARACTERS[0])
        sides = {"sides": list(subject.sides)} if form == "comparison" else {}
        prediction = await ask_model(
            self._predictors[form],
            hop=1,
            reading=shown.passages,
            passages=shown.text,
            **sides,
            question=subject.question,
        )
        return checked(read_draft(str(prediction.answer), form), shown)


async def _with_leads(task: Task, subject: Subject, passages: Sequence[Passage]) -> list[Passage]:
    """The passages, after those in which the documents that the question names say what they are."""
    named = {passage.doc_id: passage for passage in passages if names_a_document(subject.question, [passage])}
    if not named:
        return list(passages)
    leads = await task.beginnings(list(named.values())[:MAX_LEADS], hop=1)
    return list({passage.chunk_id: passage for passage in (*leads, *passages)}.values())


def _united(drafts: Sequence[Checked]) -> Checked:
    """The statements of all groups; what two groups say alike stands once, with the citations of the first."""
    united, said = Checked(), set()
    for draft in drafts:
        united.dropped += draft.dropped
        for statement in draft.statements:
            key = folded(statement.text).strip(" .`*\"'")
            if key not in said:
                said.add(key)
                united.keep(statement.text, *(draft.citations[place] for place in statement.citations))
    return united
