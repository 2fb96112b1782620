"""Signatures estimate the similarity of texts within the stated error."""

import math

import numpy as np
import pytest

from spark_jobs.documents.minhash import HASHES, WORDS, bands, minhash


def estimate(one: str, other: str) -> float:
    return float((minhash(one) == minhash(other)).mean())


def words(count: int, seed: int) -> list[str]:
    return [f"word{number}" for number in np.random.default_rng(seed).integers(40_000, size=count)]


def jaccard(one: list[str], other: list[str]) -> float:
    first, second = ({tuple(text[n : n + WORDS]) for n in range(len(text) - WORDS + 1)} for text in (one, other))
    return len(first & second) / len(first | second)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.6])
def test_the_estimate_is_the_true_similarity_within_its_stated_error(share: float) -> None:
    """Over 60 pairs: no bias, and the spread that the formula gives, for short texts and long ones."""
    errors = []
    for seed in range(60):
        text = words(60 if seed % 2 else 1500, seed)
        cut = int(len(text) * (1 - share))
        edited = text[:cut] + words(len(text) - cut, seed + 1000)
        similarity = jaccard(text, edited)
        spread = math.sqrt(similarity * (1 - similarity) / HASHES)
        errors.append((estimate(" ".join(text), " ".join(edited)) - similarity) / spread)

    assert abs(np.mean(errors)) < 3 / math.sqrt(len(errors))
    assert 0.7 < np.std(errors) < 1.3
    assert max(map(abs, errors)) < 4.5


def test_case_punctuation_and_layout_do_not_count_but_words_and_their_order_do() -> None:
    text = "The launch of the new service is planned for the first week of May, and every team is ready."
    assert estimate(text, text.upper().replace(" ", "\n\n* ").replace(",", " —")) == 1
    assert estimate(text, " ".join(reversed(text.split()))) < 0.2
    assert estimate("Straße ﬁnden wir hier jetzt", "STRASSE finden wir hier jetzt") == 1
    assert estimate("two words", "two others") < 0.2
    assert estimate("one", "One!") == 1


def test_a_language_without_blanks_is_compared_by_its_characters() -> None:
    text = "今年の新しいサービスの開始は五月の第一週に予定されており、それまでに全てのチームが準備を整えます。" * 2
    assert estimate(text, text.replace("五月", "六月")) > 0.6


def test_a_text_without_words_has_no_signature() -> None:
    assert minhash("—— … !").tolist() == minhash("").tolist() == []


def test_a_long_text_is_hashed_in_pieces_and_keeps_its_similarity() -> None:
    text = words(100_000, 7)
    assert estimate(" ".join(text), " ".join(["moved", "by", "some", "words", *text])) > 0.98


def test_signatures_are_the_same_for_ever() -> None:
    """They are stored: if one of these numbers changes, every stored signature must be computed again."""
    first = minhash("The launch of the new service is planned for May.")[:3].tolist()
    assert first == [172271030, 9979662, 827232751]


@pytest.mark.parametrize("similarity", [0.5, 0.7, 0.8, 0.9, 0.95, 1.0])
def test_the_bands_miss_one_pair_in_a_hundred_at_most(similarity: float) -> None:
    count, rows = bands(similarity)
    assert count * rows <= HASHES
    assert (1 - similarity**rows) ** count <= 0.01
    assert (rows > 1) or similarity < 0.5  # a band of one hash would compare everything with everything
