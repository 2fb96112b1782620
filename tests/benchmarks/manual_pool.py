"""The manuals as indexes in memory, so that weights are learned from pools and manuals, and measured on both."""

from pathlib import Path

from lakehouse.text.hyperlinks import Place
from lakehouse.text.names import HEADING_JOINT
from tests.benchmarks.manual_index import Manual, ManualQuestion, manual_questions, questions_of
from tests.benchmarks.pool_index import MemoryIndex, PoolQuestion, Row, encoded


class ManualPool(MemoryIndex):
    """The chunks of a manual, and the questions about it."""

    def __init__(self, manual: Manual, asked: list[ManualQuestion], cache: Path) -> None:
        numbers = {chunk["chunk_id"]: number for number, chunk in enumerate(manual.chunks)}
        vectors = encoded([question.text for question in asked], cache, f"{manual.name}.questions")
        questions = []
        for question, vector in zip(asked, vectors, strict=True):
            gold = frozenset(numbers[chunk_id] for chunk_id in manual.gold_chunks(question))
            questions.append(PoolQuestion(question.text, vector, gold, len(gold), question.id))
        rows = [
            Row(
                chunk["title"],
                HEADING_JOINT.join(chunk["heading_path"]),
                chunk["text"],
                Place(chunk["source"], chunk["doc_id"], chunk["uri"]),
                chunk["position"] == 0,
            )
            for chunk in manual.chunks
        ]
        super().__init__(manual.name, rows, manual.vectors(cache), questions)


def manual_pools(folder: Path, cache: Path) -> list[ManualPool]:
    """Every manual with questions."""
    questions = manual_questions()
    corpora = sorted({question.corpus for question in questions})
    return [ManualPool(Manual(folder / corpus), questions_of(corpus, questions), cache) for corpus in corpora]
