"""What a program has seen so far, in bounded space: the newest as it came, what is older as its closest sentence.

Shortening by choosing a sentence costs no model call, and it cannot invent anything.
"""

from dataclasses import dataclass

from agents.answer import Citation
from agents.reading.reading_order import cite
from agents.tools.contract import Observation
from lakehouse.index.index import Passage
from lakehouse.text.mentions import closest_sentence

NEWEST = 2  # observations shown as they came
NEWEST_CHARACTERS = 600
OLDER = 8  # shown by a sentence each; what is older still is only counted
SENTENCE_CHARACTERS = 160
READ_WHOLE = 2  # passages, or what other tools said, that an answer is read from; of older ones a sentence each
EVIDENCE_CHARACTERS = 2_400  # an answer is held to a span of it, which vLLM looks through at every token


@dataclass(frozen=True)
class _Note:
    did: str
    seen: Observation

    @property
    def texts(self) -> list[str]:
        """What was read, without the names that a search puts before each passage."""
        return [passage.text for passage in self.seen.passages] or [self.seen.text]


class Notebook:
    """The observations of one program on its way to the answer of `question`."""

    def __init__(self, question: str) -> None:
        self._question = question
        self._notes: list[_Note] = []

    def add(self, did: str, seen: Observation) -> None:
        """Note what a call said."""
        self._notes.append(_Note(did, seen))

    def lines(self) -> list[str]:
        """For a model that decides what to do next, oldest first."""
        older, newest = self._notes[:-NEWEST], self._notes[-NEWEST:]
        lines = [f"{len(older) - OLDER} earlier steps"] if len(older) > OLDER else []
        lines += [f"{note.did} said: {self._closest(note)}" for note in older[-OLDER:]]
        return lines + [f"{note.did} said: {note.seen.shown()[:NEWEST_CHARACTERS]}" for note in newest]

    def evidence(self) -> str:
        """What was learned, for a model that answers from it: the newest first, each once, until the space is used."""
        learned = (note for note in reversed(self._notes) if note.seen.ok and not note.seen.empty)
        texts = list(dict.fromkeys(text for note in learned for text in note.texts))
        told = texts[:READ_WHOLE] + [closest_sentence(text, self._question) for text in texts[READ_WHOLE:]]
        return "\n\n".join(told)[:EVIDENCE_CHARACTERS]

    def passages(self) -> list[Passage]:
        """Those that were found, each once, in the order found."""
        return list({one.chunk_id: one for note in self._notes for one in note.seen.passages}.values())

    def has_only_read(self) -> bool:
        """Whether all that was learned stands in passages; what a tool worked out or counted needs none."""
        return all(note.seen.passages for note in self._notes if note.seen.ok and not note.seen.empty)

    def best(self) -> tuple[str, list[Citation]]:
        """What to answer if there is no time to ask a model: the closest sentence of all that was read."""
        sentence = closest_sentence(self.evidence(), self._question)
        return sentence, cite(self._question, (sentence, self.passages()))

    def _closest(self, note: _Note) -> str:
        return closest_sentence("\n\n".join(note.texts), self._question)[:SENTENCE_CHARACTERS]
