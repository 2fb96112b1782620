"""Whether what was found speaks of what a question asks about; looked at before a model reads it.

A reader takes a fact from any passage that holds one of the kind asked for, whatever it is about: asked for the licence
of what `bokeh` requires, a small model copies the licence of something else. So a question is declined first that says
no found document's name, and of which only common words are spoken of in what was found. No model is asked, and no list
says what a name is: how rare a word is in the tenant's documents does.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from agents.reading.signatures import NothingFound
from agents.task.task import Task
from lakehouse.index.index import Passage
from lakehouse.text.identifiers import with_words
from lakehouse.text.names import own_names
from lakehouse.text.terms import key, sentences, stem, terms, words

COMMON = 0.5
"""How rare a word is at most, by the rarest one that nothing speaks of, to tell nothing of what is asked about.
`tests.benchmarks.declining` measures what other bounds would decline."""
FEW_TERMS = 4  # a question of fewer has hardly two of them in one sentence
TOLD = 3  # words that the answer names, the rarest first
_POSSESSIVE = re.compile(r"['’]s\b")


class NotAbout(NothingFound):
    """Nothing found speaks of what the question asks about. `words`: what is missing, the rarest first."""

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__("nothing that was found speaks of what the question asks about")  # no word: records keep it
        self.words = tuple(words)

    @property
    def told(self) -> str:
        """For the asker, who knows the words."""
        return f"None of them speaks of {' or '.join(map(repr, self.words[:TOLD]))}."


async def check_about(task: Task, question: str, found: Sequence[Passage]) -> None:
    """Raise NotAbout where nothing that was found speaks of what the question asks about."""
    if is_named(question, found):
        return
    rarity = await task.idf(terms(question))
    if missing := decisive(rarity, unspoken(found, rarity), COMMON):
        written = {stem(word): word for word in words(with_words(question))}
        raise NotAbout([written[term] for term in missing])


def is_named(question: str, found: Iterable[Passage]) -> bool:
    """Whether the question says the name of a document that was found: `rich`, and not as part of `rich-toolkit`."""
    line = f"|{'|'.join(key(_POSSESSIVE.sub('', word)) for word in question.split())}|"
    names = {name for passage in found for name in own_names(passage.title, "", "")}
    return any(f"|{name}|" in line or f"|{name.replace(' ', '|')}|" in line for name in names)


def unspoken(found: Iterable[Passage], asked: Collection[str]) -> set[str]:
    """Of a question's terms those that no passage speaks of."""
    return set(asked).difference(*(_spoken(passage, asked) for passage in found))


def decisive(rarity: Mapping[str, float], missing: Collection[str], common: float) -> list[str]:
    """The rare ones of the missing terms, the rarest first; none where one that is not missing is rare, too."""
    bound = common * max((rarity[term] for term in missing), default=0.0)
    if any(rare > bound for term, rare in rarity.items() if term not in missing):
        return []
    return sorted((term for term in missing if rarity[term] > bound), key=lambda term: -rarity[term])


def _spoken(passage: Passage, asked: Collection[str]) -> set[str]:
    """Terms in the title or heading, and those in a sentence that shares another with the question or has the title's:
    of a name that is only mentioned in a list of others nothing is told there."""
    titled = {term for term in terms(f"{passage.title}\n{passage.heading}") if term in asked}
    spoken = set(titled)
    for sentence in sentences(passage.text):
        held = {term for term in terms(sentence) if term in asked}
        if len(held | titled) > 1 or len(asked) < FEW_TERMS:
            spoken |= held
    return spoken
