"""What the tools of one task have said, in bounded space: the newest in full, older observations by one sentence.

Choosing a sentence costs no model call and invents nothing.
"""

from dataclasses import dataclass

from agents.answer import Citation
from agents.reading.citations import cite
from agents.tools.contract import Observation
from lakehouse.index.passages import Passage
from lakehouse.text.sentences import closest_sentence

NEWEST = 2  # observations in full
NEWEST_CHARACTERS = 600
OLDER = 8  # observations by one sentence each; earlier ones are only counted
SENTENCE_CHARACTERS = 160
READ_WHOLE = 2  # texts that an answer is read from in full; of older ones a sentence each
EVIDENCE_CHARACTERS = 2_400  # an answer is held to a span of it, which vLLM searches at every token


@dataclass(frozen=True)
class _Entry:
    tool: str
    observation: Observation

    @property
    def texts(self) -> list[str]:
        """The passages' texts without their titles; of other tools, the output."""
        return [passage.text for passage in self.observation.passages] or [self.observation.text]


class Observations:
    """The observations of one program on the way to the answer of `question`."""

    def __init__(self, question: str) -> None:
        self._question = question
        self._entries: list[_Entry] = []

    def add(self, tool: str, observation: Observation) -> None:
        """Note what a tool said."""
        self._entries.append(_Entry(tool, observation))

    def lines(self) -> list[str]:
        """A line each, oldest first, for a model that chooses the next step."""
        older, newest = self._entries[:-NEWEST], self._entries[-NEWEST:]
        lines = [f"{len(older) - OLDER} earlier steps"] if len(older) > OLDER else []
        lines += [f"{entry.tool} said: {self._closest(entry)}" for entry in older[-OLDER:]]
        return lines + [f"{entry.tool} said: {entry.observation.for_model()[:NEWEST_CHARACTERS]}" for entry in newest]

    def evidence(self) -> str:
        """The texts for a model that answers from them: the newest first, no text twice, up to EVIDENCE_CHARACTERS."""
        texts = list(dict.fromkeys(text for entry in reversed(self._informative()) for text in entry.texts))
        excerpts = texts[:READ_WHOLE] + [closest_sentence(text, self._question) for text in texts[READ_WHOLE:]]
        return "\n\n".join(excerpts)[:EVIDENCE_CHARACTERS]

    def passages(self) -> list[Passage]:
        """All passages, each once, in the order found."""
        passages = (passage for entry in self._entries for passage in entry.observation.passages)
        return list({passage.chunk_id: passage for passage in passages}.values())

    def are_all_passages(self) -> bool:
        """Whether all that was learned stands in passages; a number that a tool calculated stands in none."""
        return all(entry.observation.passages for entry in self._informative())

    def best(self) -> tuple[str, list[Citation]]:
        """The answer when there is no time to ask a model: the evidence's sentence closest to the question."""
        sentence = closest_sentence(self.evidence(), self._question)
        return sentence, cite(self._question, (sentence, self.passages()))

    def _informative(self) -> list[_Entry]:
        return [entry for entry in self._entries if entry.observation.ok and not entry.observation.empty]

    def _closest(self, entry: _Entry) -> str:
        return closest_sentence("\n\n".join(entry.texts), self._question)[:SENTENCE_CHARACTERS]
