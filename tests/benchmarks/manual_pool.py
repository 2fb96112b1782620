"""The manuals as indexes in memory beside the pools: so that weights are learned from both, and measured on both."""

from pathlib import Path

from lakehouse.text.hyperlinks import Place
from lakehouse.text.names import HEADING_JOINT
from tests.benchmarks.manual_index import Manual, ManualQuestion, manual_questions, questions_of
from tests.benchmarks.pool_index import MemoryIndex, Question, Row, encoded


class ManualPool(MemoryIndex):
    """The chunks of a manual, and the questions about it."""

    def __init__(self, manual: Manual, asked: list[ManualQuestion], cache: Path) -> None:
        numbers = {one["chunk_id"]: number for number, one in enumerate(manual.chunks)}
        vectors = encoded([one.text for one in asked], cache, f"{manual.name}.questions")
        questions = []
        for one, vector in zip(asked, vectors, strict=True):
            gold = frozenset(numbers[chunk] for chunk in manual.gold_chunks(one))
            questions.append(Question(one.text, vector, gold, len(gold), one.id))
        rows = [
            Row(
                one["title"],
                HEADING_JOINT.join(one["heading_path"]),
                one["text"],
                Place(one["source"], one["doc_id"], one["uri"]),
                one["position"] == 0,
            )
            for one in manual.chunks
        ]
        super().__init__(manual.name, rows, manual.vectors(cache), questions)


def manual_pools(folder: Path, cache: Path) -> list[ManualPool]:
    """Every manual that questions are asked of."""
    questions = manual_questions()
    corpora = sorted({one.corpus for one in questions})
    return [ManualPool(Manual(folder / corpus), questions_of(corpus, questions), cache) for corpus in corpora]
