"""`lakehop weights`: learn what multi-hop search weighs from a tenant's own questions, as its live index answers them.

Candidates come from the very searches that `--mode multihop` makes, with the groups' permissions, and no model but the
encoder is asked. Nothing is changed but the file: `LAKEHOP_MULTIHOP_WEIGHTS` names the one that searches use.
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
LEAST_QUESTIONS = 20
"""Fewer say less than the shipped weights' 600 do."""


def learn_weights(
    settings: Settings, questions_path: Path, tenant: str, groups: Sequence[str], out: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    """Write weights learned from the questions that have `gold_ids`, and return recall before and after.

    After is cross-validated: no question is scored by weights that saw it. Raises InvalidInput for a bad questions
    file, for too few questions, and where no search finds what is needed.
    """
    questions = [question for question in read_questions(questions_path) if question.gold_ids]
    if len(questions) < LEAST_QUESTIONS:
        raise InvalidInput(
            f"{str(questions_path)!r}: {len(questions)} questions have gold_ids, and it takes {LEAST_QUESTIONS}. "
            "Add questions with the ids of the documents that answer them."
        )
    retriever = Retriever(settings)
    try:
        before = retriever.weights
        found = []
        for number, question in enumerate(questions, start=1):
            found.append(_Asked(question, retriever.gather(tenant, groups, question.text), before))
            if number % 50 == 0:
                say(f"searched for {number} of {len(questions)} questions")
    finally:
        retriever.close()
    say("learning")
    examples = [one.example for one in found]
    learned = learn(examples)
    learned.write(out)
    after = scored_apart(examples, [(one.own, one.pair) for one in found])
    return {
        "questions": len(questions),
        "before": _recalls(found, [score(one.own, one.pair, before) for one in found]),
        "after_cross_validated": _recalls(found, after),
        "best_possible": _recalls(found, [one.is_gold.astype(float) for one in found]),
        "weights": str(out),
    }


class _Asked:
    """A question with its candidates' features, and whose documents they are of."""

    def __init__(self, question: LabelledQuestion, gathered: Gathered, weights: Weights) -> None:
        self.gold = set(question.gold_ids)
        self.own, self.pair = gathered.features()
        self.doc_ids = [gathered.passages[one.chunk_id].doc_id for one in gathered.candidates]
        self.is_gold = np.array([doc_id in self.gold for doc_id in self.doc_ids], dtype=bool)
        self._weights = weights

    @property
    def example(self) -> Example:
        """What to learn from: which chunk of a needed document is needed isn't known, so the best by now stands for it.

        Its other chunks are left out: they are no examples of what is not needed.
        """
        totals = score(self.own, self.pair, self._weights)
        best: dict[str, int] = {}
        for place in np.argsort(-totals, kind="stable"):
            best.setdefault(self.doc_ids[place], int(place))
        stays = ~self.is_gold
        stays[[place for doc_id, place in best.items() if doc_id in self.gold]] = True
        return Example(self.own[stays], self.pair[stays[: len(self.pair)]][:, stays], self.is_gold[stays])


def _recalls(found: Sequence[_Asked], totals: Sequence[np.ndarray]) -> dict[str, float]:
    """Mean share of the needed documents among those of the first passages."""
    recalls: dict[str, list[float]] = {f"recall_at_{cut}": [] for cut in _CUTS}
    for one, total in zip(found, totals, strict=True):
        ranked = [one.doc_ids[place] for place in np.argsort(-total, kind="stable")]
        for cut in _CUTS:
            recalls[f"recall_at_{cut}"].append(len(set(ranked[:cut]) & one.gold) / len(one.gold))
    return {name: round(statistics.fmean(values), 4) for name, values in recalls.items()}
