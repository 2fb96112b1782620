"""How answers and retrieval are scored: SQuAD's normalisation, exact match and token F1, and recall of documents.

The rules are those of the evaluation scripts that come with SQuAD and HotpotQA, so numbers compare with published
ones. `success` is ours: models that answer in a sentence fail an exact match with the right fact in hand.
"""

import re
import string
from collections import Counter
from collections.abc import Collection, Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_MINUS, _POINT = re.compile(r"(?<!\S)[-\N{MINUS SIGN}](?=\d)"), re.compile(r"(?<=\d)\.(?=\d)")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_CLOSED = {"yes", "no", "noanswer"}  # HotpotQA: these match whole or not at all, "no" is no part of "no one"


def normalise(text: str) -> str:
    """Lower case, without ASCII punctuation, articles and extra spaces, in SQuAD's order."""
    without_punctuation = text.lower().translate(_NO_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", without_punctuation).split())


def exact_match(answer: str, golds: Collection[str]) -> bool:
    """Whether the normalised answer equals one of the normalised gold answers."""
    return normalise(answer) in {normalise(gold) for gold in golds}


def f1(answer: str, golds: Collection[str]) -> float:
    """Token F1 against the gold answer that fits best, 0 to 1; 0 without gold answers."""
    return max((_f1(normalise(answer), normalise(gold)) for gold in golds), default=0.0)


def success(answer: str, golds: Collection[str]) -> bool:
    """Whether a normalised gold answer stands in the normalised answer as whole words; yes and no must be all of it.

    Unlike SQuAD's, numbers keep their sign and their point: -6 is no 6, and 3.5 no 35.
    """
    said, *wanted = (normalise(_POINT.sub("point", _MINUS.sub("minus", text))) for text in (answer, *golds))
    return any(said == gold if gold in _CLOSED else f" {gold} " in f" {said} " for gold in wanted if gold)


def supported(answer: str, quotes: Collection[str], sums: Collection[tuple[str, str]] = ()) -> bool:
    """Whether what was cited carries the answer: its words stand in a quote, or it was worked out from numbers that do.

    `sums`: what was worked out, and what came out. An answer in other words than its quote's counts as not carried.
    """
    cited = f" {' '.join(map(normalise, quotes))} "
    said = normalise(answer)
    if not said or said in _CLOSED:  # a yes follows from what was cited, but no words show that it does
        return False
    if f" {said} " in cited:
        return True
    return any(
        normalise(result) == said and all(f" {normalise(number)} " in cited for number in _NUMBER.findall(worked_out))
        for worked_out, result in sums
    )


def recall_at(k: int, gold_ids: Collection[str], ranked_doc_ids: Sequence[str]) -> float:
    """Share of the gold documents among the first `k` different ones, 0 to 1. `gold_ids` must not be empty."""
    first = set(list(dict.fromkeys(ranked_doc_ids))[:k])  # one document may be ranked by several of its chunks
    gold = set(gold_ids)
    return len(gold & first) / len(gold)


def _f1(answer: str, gold: str) -> float:
    if answer != gold and (answer in _CLOSED or gold in _CLOSED):
        return 0.0
    answer_tokens, gold_tokens = answer.split(), gold.split()
    if not answer_tokens or not gold_tokens:
        return float(answer_tokens == gold_tokens)
    shared = sum((Counter(answer_tokens) & Counter(gold_tokens)).values())
    return 2 * shared / (len(answer_tokens) + len(gold_tokens))
