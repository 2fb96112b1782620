"""A vote on one fact while passages are read: who says what, when reading may end, and what is left in the trace."""

from agents.quorum import Verdict, Vote, decide
from agents.reading import NothingFound
from agents.task import Task
from lakehouse.index import Passage

READ_AT_MOST = 3  # passages for one fact; with a quorum of k, k times as many


class Ballot:
    """The votes on one fact. `name` tells it from the others of its task, `author` is who reads."""

    def __init__(self, task: Task, name: str, author: str, hop: int) -> None:
        self._task = task
        self._name = name
        self._author = author
        self._hop = hop
        self._passages: list[Passage] = []
        self._votes: list[Vote] = []

    def cast(self, passage: Passage, fact: str) -> None:
        """What a passage says."""
        self._passages.append(passage)
        self._votes.append(Vote(fact, passage.doc_id, passage.text))

    @property
    def settled(self) -> bool:
        """Whether further passages need not be read."""
        return self._verdict().settled

    async def result(self) -> tuple[str, tuple[Passage, ...]]:
        """The fact and the passages that agree on it, once the vote is in the trace. Raises NothingFound for none."""
        if not self._votes:
            raise NothingFound("no passage that was found holds the fact")
        verdict = self._verdict()
        first = {one.doc_id: one for one in reversed(self._passages)}  # of each document, the one that was counted
        agreeing = tuple(first[source] for source in verdict.sources)
        await self._task.voted(self._name, verdict, agreeing, self._passages, author=self._author, hop=self._hop)
        if verdict.value is None:
            raise NothingFound(f"no {self._task.quorum} documents agree")
        return verdict.value, agreeing

    def _verdict(self) -> Verdict:
        return decide(self._votes, self._task.quorum)
