"""The programs that answer a question: `single_shot` reads once, `multihop` follows names from passage to passage.

A small model reads one thing at a time: given one passage it copies the right fact, given two it mixes them. So
`multihop` never shows two. It reads the passage about what the question names, chooses which of the names in it to
look up next, reads each of those alone, and concludes from the facts only. What a domain looks like is not in here;
that comes with the demonstrations that `agents.compile` finds.
"""

from typing import Annotated, Any

import dspy

from agents.answer import Citation
from agents.constraints import NONE, SomeOf, SpanOf, SumOf, is_sum
from agents.examples import EXAMPLES
from agents.mentions import is_mentioned, longest_mentioned, names_in, quote_of, without
from agents.task import Task, current_task, reference
from lakehouse.index import Passage

SINGLE_SHOT_PASSAGES = 5
FOUND_PASSAGES = 20  # of each hop's search; one of them is read, the others tell which names have a document
NAMES_OFFERED = 8  # more are not weighed but guessed at
NAMES_FOLLOWED = 3
NAMES_LOOKED_UP = 12  # at a lexical search of milliseconds each
LOOK_UP_PASSAGES = 10
STARTING_PASSAGES = 3  # tried in turn until one holds something
PASSAGE_CHARACTERS = 1_200  # a chunk of 200 tokens is shorter, unless it is code


class NothingFound(Exception):
    """The documents that the asker may read do not answer the question."""


class AnswerFromPassages(dspy.Signature):
    """Answer the question with words copied from the passages."""

    passages: str = dspy.InputField()
    question: str = dspy.InputField()
    answer: Annotated[str, SpanOf("passages")] = dspy.OutputField(desc="a name, a number or a few words")


class ChooseNames(dspy.Signature):
    """Choose the names that must be looked up to answer the question, the likeliest first.
    Say "none" when the passage itself answers it."""

    passage: str = dspy.InputField()
    names: list[str] = dspy.InputField(desc="names in the passage that can be looked up")
    question: str = dspy.InputField()
    chosen: Annotated[str, SomeOf("names", most=NAMES_FOLLOWED)] = dspy.OutputField(desc="separated by commas")


class ReadFact(dspy.Signature):
    """Copy from the passage the one fact that the question asks for. Say "none" when it is not there."""

    passage: str = dspy.InputField()
    question: str = dspy.InputField()
    fact: Annotated[str, SpanOf("passage")] = dspy.OutputField(desc="a name, a number or a few words")


class Conclude(dspy.Signature):
    """Give the fact that answers the question, or the sum to calculate from the facts, such as 3 + 4."""

    facts: list[str] = dspy.InputField(desc="what was found, as name: fact")
    question: str = dspy.InputField()
    answer: Annotated[str, SumOf("facts")] = dspy.OutputField()


class SingleShot(dspy.Module):
    """One search, one call: the measure for everything that does more."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = _predictor("answer", AnswerFromPassages)

    async def aforward(self, question: str) -> dspy.Prediction:
        task = current_task()
        passages = await task.search(question, hop=1, k=SINGLE_SHOT_PASSAGES)
        if not passages:
            raise NothingFound
        said = await self.answer.acall(
            passages="\n\n".join(_shown(passage) for passage in passages), question=question, config=_mark(1, *passages)
        )
        if said.answer == NONE:
            raise NothingFound
        task.propose(said.answer, _citations((said.answer, passages)))
        return dspy.Prediction(answer=said.answer)


class MultiHop(dspy.Module):
    """Search, read, choose what to look up, search again: at most `max_hops` searches, fewer when answered."""

    def __init__(self) -> None:
        super().__init__()
        self.choose = _predictor("choose", ChooseNames)
        self.read = _predictor("read", ReadFact)
        self.conclude = _predictor("conclude", Conclude)

    async def aforward(self, question: str) -> dspy.Prediction:
        task = current_task()
        trail = _Trail(question, await task.search(question, hop=1, k=FOUND_PASSAGES))
        while passage := trail.next_passage():
            names = await self._names_to_follow(task, trail, passage) if trail.may_follow() else []
            if names:
                trail.follow(names)
                continue
            fact = await self.read.acall(passage=_shown(passage), question=question, config=_mark(trail.hop, passage))
            trail.note(passage, fact.fact)
            if trail.facts:
                task.propose(trail.facts[-1][1], trail.citations())
        if not trail.facts:
            raise NothingFound
        answer = await self._concluded(task, trail)
        task.propose(answer, trail.citations())
        return dspy.Prediction(answer=answer)

    async def _names_to_follow(self, task: Task, trail: "_Trail", passage: Passage) -> list[str]:
        """Look up what the passage names, and let the model choose among the names that have a document."""
        if trail.hop >= task.max_hops:
            return []
        trail.hop += 1
        unknown = [name for name in names_in(passage.text) if not trail.knows(name)]
        await self._look_up(task, trail, unknown[:NAMES_LOOKED_UP])
        offered = trail.titles_mentioned_in(passage)[:NAMES_OFFERED]
        if not offered:
            return []
        choice = await self.choose.acall(
            passage=_shown(passage), names=offered, question=trail.question, config=_mark(trail.hop, passage)
        )
        chosen = [] if choice.chosen == NONE else choice.chosen.split(", ")
        await self._look_up(task, trail, chosen)
        return chosen

    async def _look_up(self, task: Task, trail: "_Trail", names: list[str]) -> None:
        """Find the passage of each name's document that fits the question best."""
        for name in names:
            if not trail.looked_up(name):
                query = f"{name} {trail.question_without_start}"
                found = await task.search(query, hop=trail.hop, k=LOOK_UP_PASSAGES, mode="lexical")
                trail.add_look_up(name, found)

    async def _concluded(self, task: Task, trail: "_Trail") -> str:
        if len(trail.facts) == 1:
            return trail.facts[0][1]
        facts = [f"{passage.title}: {fact}" for passage, fact in trail.facts]
        said = await self.conclude.acall(facts=facts, question=trail.question, config=_mark(trail.hop))
        if is_sum(said.answer):
            return await task.calculate(said.answer, hop=trail.hop) or said.answer
        return str(said.answer)


class _Trail:
    """Where a multihop task stands: what was found, what is still to be read, and the facts noted."""

    def __init__(self, question: str, found: list[Passage]) -> None:
        self.question = question
        self.hop = 1
        self.facts: list[tuple[Passage, str]] = []
        start = longest_mentioned((passage.title for passage in found), question)
        self.question_without_start = without(start, question) if start else question
        self._found = found
        self._look_ups: dict[str, Passage | None] = {}
        self._unread = _starting_passages(start, found)
        self._followed = False

    def next_passage(self) -> Passage | None:
        """The passage to read now; None when all that was followed is read, or a first one held a fact."""
        if not self._unread or (self.facts and not self._followed):
            return None
        return self._unread.pop(0)

    def may_follow(self) -> bool:
        """Names lead on from where the question begins; a passage that was followed to is read."""
        return not self._followed

    def follow(self, names: list[str]) -> None:
        """Read next what was looked up about these names, and nothing else."""
        self._followed = True
        self._unread = [passage for name in names if (passage := self._look_ups.get(name.lower()))]

    def looked_up(self, name: str) -> bool:
        return name.lower() in self._look_ups

    def add_look_up(self, name: str, found: list[Passage]) -> None:
        """Keep the best passage of the document that has the name; others say nothing about it."""
        about = [passage for passage in found if passage.title.lower() == name.lower()]
        known = [passage for passage in self._found if passage.title.lower() == name.lower()]
        self._look_ups[name.lower()] = next(iter(about + known), None)
        self._found += about

    def knows(self, name: str) -> bool:
        """Whether a document of this name was found."""
        return any(passage.title.lower() == name.lower() for passage in self._found)

    def note(self, passage: Passage, fact: str) -> None:
        if fact != NONE:
            self.facts.append((passage, fact))

    def titles_mentioned_in(self, passage: Passage) -> list[str]:
        """Titles of found documents that the passage names: the best found first."""
        titles = dict.fromkeys(one.title for one in self._found if one.title.lower() != passage.title.lower())
        return [title for title in titles if is_mentioned(title, passage.text)]

    def citations(self) -> list[Citation]:
        return _citations(*((fact, [passage]) for passage, fact in self.facts))


PROGRAMS: dict[str, type[dspy.Module]] = {"single_shot": SingleShot, "multihop": MultiHop}


def _starting_passages(start: str | None, found: list[Passage]) -> list[Passage]:
    """Best to begin with: about what the question names; then, naming something else that was found; then by rank."""
    titles = dict.fromkeys(passage.title for passage in found)

    def merit(passage: Passage) -> tuple[bool, bool]:
        others = (title for title in titles if title != passage.title)
        return passage.title == start, any(is_mentioned(title, passage.text) for title in others)

    return sorted(found, key=merit, reverse=True)[:STARTING_PASSAGES]


def _predictor(name: str, signature: type[dspy.Signature]) -> dspy.Predict:
    """A predictor that records its calls under its name and begins with the built-in examples."""
    predictor = dspy.Predict(signature, agent=name)
    predictor.demos = list(EXAMPLES[name])
    return predictor


def _citations(*facts: tuple[str, list[Passage]]) -> list[Citation]:
    """For each fact the first passage that holds it, with the words as they stand there."""
    quoted = [
        next(
            (Citation(doc_id=p.doc_id, chunk_id=p.chunk_id, quote=q) for p in ps if (q := quote_of(fact, p.text))), None
        )
        for fact, ps in facts
    ]
    return [citation for citation in quoted if citation]


def _shown(passage: Passage) -> str:
    return passage.text[:PASSAGE_CHARACTERS]


def _mark(hop: int, *passages: Passage) -> dict[str, Any]:
    """What the call's record says of it."""
    return {"hop": hop, "passages": [reference(passage).model_dump() for passage in passages]}
