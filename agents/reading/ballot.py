"""A vote on one fact while passages are read: who says what, when reading may end, and what is left in the trace."""

from collections.abc import Sequence

from agents.reading.quorum import Verdict, Vote, decide
from agents.reading.signatures import NothingFound
from agents.task.blackboard import MAX_CHARACTERS
from agents.task.recorder import reference
from agents.task.task import Task
from lakehouse.index.index import Passage

QUORUM = "quorum"  # what a vote is called in steps and records
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
        await self._show(verdict, agreeing)
        if verdict.value is None:
            raise NothingFound(f"no {self._task.quorum} documents agree")
        return verdict.value, agreeing

    async def _show(self, verdict: Verdict, agreeing: Sequence[Passage]) -> None:
        """Put the vote into the trace: its counts as a record, and on the board what was said otherwise."""
        wanted = self._task.quorum
        if wanted > 1:
            query = f"{self._name}: {wanted} documents that agree"
            await self._task.decided(QUORUM, query, verdict.value, agreeing, verdict.counts, hop=self._hop)
        if said := verdict.disagreement:
            await self._task.board.write(
                f"{self._name}.votes",
                "disagreement",
                said[:MAX_CHARACTERS],
                author=self._author,
                provenance=[reference(passage) for passage in self._passages],
            )

    def _verdict(self) -> Verdict:
        return decide(self._votes, self._task.quorum)
