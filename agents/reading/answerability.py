"""Whether the passages speak of the question's subject; checked before a model reads them.

A small model extracts a fact of the requested type even from an unrelated passage: asked for the licence of what
`bokeh` requires, it copies another package's licence. So a question is declined where it names no found document and
the passages mention only its common words. No model decides and no list says what a name is: a word's rarity in the
tenant's documents does.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from agents.task.task import Task
from lakehouse.index.passages import Passage
from lakehouse.text.names import own_names
from lakehouse.text.search_text import all_words, paired
from lakehouse.text.sentences import sentences
from lakehouse.text.terms import key, stem, terms

COMMON = 0.5
"""A term is common up to this share of the rarity of the rarest missing term; common terms decide nothing.
`tests.benchmarks.declining` measures how many questions other bounds would decline."""
FEW_TERMS = 4  # a question of fewer terms rarely has two of them in one sentence
EXPLAINED_WORDS = 3  # missing words in the answer, the rarest first
_POSSESSIVE = re.compile(r"['’]s\b")


class NothingFound(Exception):
    """The documents that the caller may read do not answer the question."""


class SubjectMissing(NothingFound):
    """No passage speaks of the question's subject. `words`: the question's missing words, the rarest first."""

    def __init__(self, words: Sequence[str]) -> None:
        # The words stay out of the message: call records keep it.
        super().__init__("nothing that was found speaks of what the question asks about")
        self.words = tuple(words)

    @property
    def explanation(self) -> str:
        """A sentence for the answer; the caller knows the question's words."""
        return f"None of them speaks of {' or '.join(map(repr, self.words[:EXPLAINED_WORDS]))}."


async def check_answerability(task: Task, question: str, passages: Sequence[Passage]) -> None:
    """Raise SubjectMissing where no passage speaks of the question's subject."""
    if names_a_document(question, passages):
        return
    rarity = await task.idf(terms(question))
    if missing := decisive_terms(rarity, missing_terms(passages, rarity), COMMON):
        words_by_term = {stem(word): word for word in paired(all_words(question))}
        raise SubjectMissing([words_by_term[term] for term in missing])


def names_a_document(question: str, passages: Iterable[Passage]) -> bool:
    """Whether the question contains a found document's name, such as `rich`; `rich-toolkit` does not contain it."""
    line = f"|{'|'.join(key(_POSSESSIVE.sub('', word)) for word in question.split())}|"
    names = {name for passage in passages for name in own_names(passage.title, "", "")}
    return any(f"|{name}|" in line or f"|{name.replace(' ', '|')}|" in line for name in names)


def missing_terms(passages: Iterable[Passage], question_terms: Collection[str]) -> set[str]:
    """The question's terms of which no passage speaks."""
    return set(question_terms).difference(*(_spoken_terms(passage, question_terms) for passage in passages))


def decisive_terms(rarity: Mapping[str, float], missing: Collection[str], common: float) -> list[str]:
    """The rare missing terms, the rarest first; none where a term that is not missing is rare too.

    `rarity`: the inverse document frequency of each of the question's terms.
    """
    bound = common * max((rarity[term] for term in missing), default=0.0)
    if any(rare > bound for term, rare in rarity.items() if term not in missing):
        return []
    return sorted((term for term in missing if rarity[term] > bound), key=lambda term: -rarity[term])


def _spoken_terms(passage: Passage, question_terms: Collection[str]) -> set[str]:
    """Terms in the title or heading, and terms in a sentence with another of the question's terms.

    A name that only stands in a list of names is mentioned, but nothing is said of it.
    """
    title_terms = {term for term in terms(f"{passage.title}\n{passage.heading}") if term in question_terms}
    spoken = set(title_terms)
    for sentence in sentences(passage.text):
        sentence_terms = {term for term in terms(sentence) if term in question_terms}
        if len(sentence_terms | title_terms) > 1 or len(question_terms) < FEW_TERMS:
            spoken |= sentence_terms
    return spoken
