"""Words as multi-hop search compares them: as `lakehouse.text.search_text` cuts them, stemmed, without stop words.

Index time and question time must cut alike, so both import from here. Words of other alphabets pass unstemmed.

The stemmer is our own, a few English suffix rules. Snowball's English stemmer (PyStemmer) keeps `director` apart from
`directed` and `founder` from `founded`; here they must be one term, because a question asks "who directed" where the
passage says "director". For 100 questions of HotpotQA over 1,318 passages, recall@5 is 99.5 with both by multi-hop
search, and 90.5 (ours) and 90.0 (Snowball) by BM25. Snowball takes a quarter of the time for a new word; words seen
before come from a cache (`python -m tests.benchmarks.stemming POOL`).
"""

from collections.abc import Sequence
from functools import lru_cache

from lakehouse.text.search_text import all_words, paired, words
from lakehouse.text.stop_words import STOP_WORDS

# Words that form a question without naming its subject. BM25's list is shorter because it also cuts documents.
_QUESTION_WORDS = """
what which who whom whose when where why how does do did done has have had been being am are you he she we us our your
his her hers him them their theirs its me my mine also than so too very can could should would may might must shall
from up down out over under again further once here there all any both each few more most other some nor only own same
just about between during before after above below through against because while until among per via another s t
name named called known
"""
_STOPPED = frozenset(STOP_WORDS) | frozenset(_QUESTION_WORDS.split())
_VOWELS = frozenset("aeiouy")
_VERB_ENDINGS = ("ing", "ed")
# Longest first: the first ending that fits is replaced.
_ENDINGS = (
    *(("ization", "iz"), ("ational", "at"), ("ation", "at"), ("ition", "it"), ("ment", ""), ("ness", "")),
    *(("ship", ""), ("tion", "t"), ("sion", "s"), ("ally", "al"), ("ive", ""), ("ist", ""), ("ism", "")),
    *(("ly", ""), ("or", ""), ("er", "")),
)
_LEAST_STEM = 4


def key(name: str) -> str:
    """The key of a name, by which names are compared: its words with one blank between them."""
    return " ".join(words(name))


def terms(text: str) -> list[str]:
    """The stems of the text's words and identifiers without stop words, in order, with repeats."""
    return stems(all_words(text))


def stems(folded_words: Sequence[str]) -> list[str]:
    """The stems of folded words without stop words, in order, with repeats."""
    return [stem(word) for word in paired(folded_words) if word not in _STOPPED]


def is_stopped(word: str) -> bool:
    """Whether a folded word is a stop word or a question word."""
    return word in _STOPPED


@lru_cache(maxsize=1 << 17)
def stem(word: str) -> str:
    """The stem of a folded word."""
    if len(word) < _LEAST_STEM or not (word.isascii() and word.isalpha()):
        return word
    return _without_last_vowel(_without_ending(_without_verb_ending(_without_plural(word))))


def _without_plural(word: str) -> str:
    if word.endswith("ies") and len(word) > _LEAST_STEM:
        return word[:-3] + "y"
    if word.endswith("sses") or (word.endswith("es") and len(word) > _LEAST_STEM and word[-3] in "sxzh"):
        return word[:-2]
    return word[:-1] if word.endswith("s") and word[-2] not in "sui" else word


def _without_verb_ending(word: str) -> str:
    for ending in _VERB_ENDINGS:
        rest = word.removesuffix(ending)
        if rest != word and len(rest) >= _LEAST_STEM - 1 and not _VOWELS.isdisjoint(rest):
            is_doubled = rest[-1] == rest[-2] and rest[-1] not in "lsz"
            return rest[:-1] if is_doubled else rest
    return word


def _without_ending(word: str) -> str:
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _LEAST_STEM:
            return word[: -len(ending)] + instead
    return word


def _without_last_vowel(word: str) -> str:
    if word.endswith("e") and len(word) >= _LEAST_STEM:
        word = word[:-1]
    return word[:-1] + "i" if word.endswith("y") and len(word) >= _LEAST_STEM else word
