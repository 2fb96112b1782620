"""Scores of answers and of retrieval: SQuAD's normalisation, exact match and token F1, and recall of documents.

The rules are those of the evaluation scripts of SQuAD and HotpotQA, so results compare with published results.
`success` is ours: an answer that is a sentence fails an exact match although it holds the right fact.
"""

import re
import string
from collections import Counter
from collections.abc import Collection, Sequence

from lakehouse.text.folding import folded, plain

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_MINUS, _POINT = re.compile(r"(?<!\S)[-\N{MINUS SIGN}](?=\d)"), re.compile(r"(?<=\d)\.(?=\d)")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_CLOSED = {"yes", "no", "noanswer"}  # HotpotQA: these match as a whole only; "no" is no part of "no one"


def normalise(text: str) -> str:
    """Lower case, without ASCII punctuation, articles and extra spaces, in SQuAD's order."""
    without_punctuation = text.lower().translate(_NO_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", without_punctuation).split())


def exact_match(answer: str, golds: Collection[str]) -> bool:
    """Whether the normalised answer equals one of the normalised gold answers."""
    return normalise(answer) in {normalise(gold) for gold in golds}


def f1(answer: str, golds: Collection[str]) -> float:
    """Token F1 with the best gold answer, 0 to 1; 0 without gold answers."""
    return max((_f1(normalise(answer), normalise(gold)) for gold in golds), default=0.0)


def success(answer: str, golds: Collection[str]) -> bool:
    """Whether the normalised answer holds a normalised gold answer as whole words; yes and no must be the whole answer.

    Unlike in SQuAD, numbers keep their sign and their point: -6 is not 6, and 3.5 is not 35.
    """
    given, *expected = (normalise(_POINT.sub("point", _MINUS.sub("minus", text))) for text in (answer, *golds))
    return any(given == gold if gold in _CLOSED else f" {gold} " in f" {given} " for gold in expected if gold)


def supported(answer: str, quotes: Collection[str], sums: Collection[tuple[str, str]] = ()) -> bool:
    """Whether the quotes support the answer: they hold its words, or the numbers that it was calculated from.

    `sums`: pairs of an expression and its result. An answer in other words than its quote counts as not supported.
    """
    cited = f" {' '.join(normalise(folded(plain(quote))) for quote in quotes)} "
    given = normalise(folded(plain(answer)))
    if not given or given in _CLOSED:  # quotes can prove a yes, but not by holding the word
        return False
    if f" {given} " in cited:
        return True
    return any(
        normalise(result) == given and all(f" {normalise(number)} " in cited for number in _NUMBER.findall(expression))
        for expression, result in sums
    )


def recall_at(k: int, gold_ids: Collection[str], ranked_doc_ids: Sequence[str]) -> float:
    """Share of the gold documents among the first `k` different documents, 0 to 1. `gold_ids` must not be empty."""
    first = set(list(dict.fromkeys(ranked_doc_ids))[:k])  # several chunks of one document may be ranked
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
