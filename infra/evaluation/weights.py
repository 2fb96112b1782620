"""`lakehop weights`: learn the weights of multi-hop search from a tenant's own questions over its live index.

Candidates come from the searches of `--mode multihop`, with the groups' permissions; the encoder is the only model that
runs. Only the weights file changes: `LAKEHOP_MULTIHOP_WEIGHTS` names the file that searches use.
"""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lakehouse.errors import InvalidInput
from lakehouse.retrieval.multihop.ranking import Weights, score
from lakehouse.retrieval.multihop.search import Gathered
from lakehouse.retrieval.multihop.training import Example, learn, scored_apart
from lakehouse.retrieval.retriever import Retriever
from lakehouse.settings import Settings
from lakehouse.text.questions import LabelledQuestion, read_questions

_CUTS = (2, 5, 10)
MIN_QUESTIONS = 20
"""Fewer questions give worse weights than the shipped ones, which were learned from 600."""


def learn_weights(
    settings: Settings, questions_path: Path, tenant: str, groups: Sequence[str], out: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    """Write weights learned from the questions with `gold_ids`, and return recall before and after.

    Recall after is cross-validated: no question is scored by weights learned from it. Raises InvalidInput for a bad
    questions file, for too few questions, and if no search finds a needed document.
    """
    questions = [question for question in read_questions(questions_path) if question.gold_ids]
    if len(questions) < MIN_QUESTIONS:
        raise InvalidInput(
            f"{str(questions_path)!r}: {len(questions)} questions have gold_ids; at least {MIN_QUESTIONS} are needed. "
            "Add questions with the ids of the documents that answer them."
        )
    retriever = Retriever(settings)
    try:
        before = retriever.weights
        searched = []
        for number, question in enumerate(questions, start=1):
            searched.append(SearchedQuestion(question, retriever.gather(tenant, groups, question.text), before))
            if number % 50 == 0:
                say(f"searched for {number} of {len(questions)} questions")
    finally:
        retriever.close()
    say("learning")
    examples = [question.example for question in searched]
    learn(examples).write(out)
    after = scored_apart(examples, [(question.own, question.pair) for question in searched])
    return {
        "questions": len(questions),
        "before": _recalls(searched, [score(question.own, question.pair, before) for question in searched]),
        "after_cross_validated": _recalls(searched, after),
        "best_possible": _recalls(searched, [question.is_gold.astype(float) for question in searched]),
        "weights": str(out),
    }


class SearchedQuestion:
    """A question, the features of its candidates, and their documents."""

    def __init__(self, question: LabelledQuestion, gathered: Gathered, weights: Weights) -> None:
        self.gold = set(question.gold_ids)
        self.own, self.pair = gathered.features()
        self.doc_ids = [gathered.passages[candidate.chunk_id].doc_id for candidate in gathered.candidates]
        self.is_gold = np.array([doc_id in self.gold for doc_id in self.doc_ids], dtype=bool)
        self._weights = weights

    @property
    def example(self) -> Example:
        """The training example. Labels name documents: the best-ranked chunk of a needed document is positive.

        The document's other chunks are left out, because they may be needed too.
        """
        totals = score(self.own, self.pair, self._weights)
        best: dict[str, int] = {}
        for place in np.argsort(-totals, kind="stable"):
            best.setdefault(self.doc_ids[place], int(place))
        stays = ~self.is_gold
        stays[[place for doc_id, place in best.items() if doc_id in self.gold]] = True
        return Example(self.own[stays], self.pair[stays[: len(self.pair)]][:, stays], self.is_gold[stays])


def _recalls(searched: Sequence[SearchedQuestion], totals: Sequence[np.ndarray]) -> dict[str, float]:
    """Mean share of the needed documents among the documents of the first passages."""
    recalls: dict[str, list[float]] = {f"recall_at_{cut}": [] for cut in _CUTS}
    for question, total in zip(searched, totals, strict=True):
        ranked = [question.doc_ids[place] for place in np.argsort(-total, kind="stable")]
        for cut in _CUTS:
            recalls[f"recall_at_{cut}"].append(len(set(ranked[:cut]) & question.gold) / len(question.gold))
    return {name: round(statistics.fmean(values), 4) for name, values in recalls.items()}
