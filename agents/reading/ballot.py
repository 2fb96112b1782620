"""A vote on one fact while passages are read: the votes, when reading may end, and the trace of the result."""

from collections.abc import Sequence

from agents.answer import PassageRef
from agents.reading.answerability import NothingFound
from agents.reading.quorum import Verdict, Vote, decide
from agents.task.blackboard import MAX_CHARACTERS
from agents.task.task import Task
from lakehouse.index.passages import Passage

QUORUM = "quorum"  # name of a vote in steps and records
READ_AT_MOST = 3  # passages for one fact; with a quorum of k, k times as many


class Ballot:
    """The votes of documents on one fact. `name`: unique in the task; `author`: the agent that reads them."""

    def __init__(self, task: Task, name: str, author: str, hop: int) -> None:
        self._task = task
        self._name = name
        self._author = author
        self._hop = hop
        self._passages: list[Passage] = []
        self._votes: list[Vote] = []

    def cast(self, passage: Passage, fact: str) -> None:
        """Count what a passage says as its document's vote."""
        self._passages.append(passage)
        self._votes.append(Vote(fact, passage.doc_id, passage.text))

    @property
    def settled(self) -> bool:
        """Whether further passages need not be read."""
        return self._verdict().settled

    async def result(self) -> tuple[str, tuple[Passage, ...]]:
        """The fact and the passages that agree on it, after the vote is in the trace. Raises NothingFound."""
        if not self._votes:
            raise NothingFound("no passage that was found holds the fact")
        verdict = self._verdict()
        counted = {passage.doc_id: passage for passage in reversed(self._passages)}  # the first of each document
        agreeing = tuple(counted[source] for source in verdict.sources)
        await self._trace(verdict, agreeing)
        if verdict.value is None:
            raise NothingFound(f"no {self._task.quorum} documents agree")
        return verdict.value, agreeing

    async def _trace(self, verdict: Verdict, agreeing: Sequence[Passage]) -> None:
        """Record the counts, which hold no document text; write a disagreement with its quotes to the board."""
        wanted = self._task.quorum
        if wanted > 1:
            query = f"{self._name}: {wanted} documents that agree"
            await self._task.record_decision(QUORUM, query, verdict.value, agreeing, verdict.counts, hop=self._hop)
        if disagreement := verdict.disagreement:
            await self._task.board.write(
                f"{self._name}.votes",
                "disagreement",
                disagreement[:MAX_CHARACTERS],
                author=self._author,
                provenance=[PassageRef.of(passage) for passage in self._passages],
            )

    def _verdict(self) -> Verdict:
        return decide(self._votes, self._task.quorum)
