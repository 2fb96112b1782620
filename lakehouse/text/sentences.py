"""Text cut into sentences.

`sentences` serves retrieval, which needs whole sentences; `short_sentences` serves quotes and small models, which read
short sentences better. One way to cut for both changed the quoted sentence of 62 of 600 and 64 of 715 gold passages of
HotpotQA and MuSiQue, mostly to a longer one. The chunker (`spark_jobs.documents.chunking`) looks for positions where a
chunk may end, not for sentences; a position too many does no harm there.
"""

import re

from lakehouse.text.search_text import words

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"”')\]]*\s+(?=[A-Z\"“(0-9])|(?<=[。！？])|\n+")
_FULL_STOP = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")
_ABBREVIATION = re.compile(
    r"\b(?:[A-Z]|Dr|Mr|Mrs|Ms|St|Jr|Sr|vs|No|Inc|Ltd|Co|Lt|Col|Gen|Sgt|Capt|Prof|Rev|Hon|Mt|Ft|ca|c|U\.S|D\.C)\.$"
)
_ABBREVIATION_CHARACTERS = 8


def sentences(text: str) -> list[str]:
    """The text cut at line breaks and at full stops before a capital, but not after an abbreviation or an initial.

    No sentence is blank.
    """
    complete: list[str] = []
    begun = ""
    for part in _SENTENCE_END.split(text):
        begun = f"{begun} {part}" if begun else part
        if not _ABBREVIATION.search(begun[-_ABBREVIATION_CHARACTERS:]):
            complete.append(begun)
            begun = ""
    return [sentence for sentence in (*complete, begun) if sentence.strip()]


def short_sentences(text: str) -> list[str]:
    """The text cut at line breaks and at every full stop, also after an abbreviation or before a small letter.

    Names of packages begin sentences with a small letter. Each sentence stands in the text as it is; none is blank.
    """
    return [sentence for sentence in map(str.strip, _FULL_STOP.split(text)) if sentence]


def closest_sentence(text: str, question: str) -> str:
    """The short sentence with most of the question's words, rare words counting more; the first of equals."""
    candidates = short_sentences(text)
    words_of = [set(words(sentence)) for sentence in candidates]
    rarity = {}
    for word in set(words(question)):
        if count := sum(word in held for held in words_of):
            rarity[word] = 1 / count
    weights = [sum(rarity[word] for word in rarity.keys() & held) for held in words_of]
    return candidates[weights.index(max(weights))] if candidates else ""
