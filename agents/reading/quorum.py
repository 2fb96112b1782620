"""A fact that decides the answer, taken only when k independent sources say the same: one that lies is outvoted.

Independent means another document with another text: a copy, or one source that is read twice, has one vote. What was
said otherwise is kept, for it belongs into the trace.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lakehouse.errors import InvalidInput
from lakehouse.text.scoring import normalise

VOTING_PROGRAMS = ("multihop", "team")
"""Those that read one passage at a time; where all are read at once, nobody has a vote of their own."""


def check_quorum(program: str, quorum: int) -> None:
    """Raises InvalidInput for a quorum that the program would pass over in silence."""
    if quorum > 1 and program not in VOTING_PROGRAMS:
        raise InvalidInput(
            f"quorum={quorum}: program {program!r} lets no documents vote, {' and '.join(VOTING_PROGRAMS)} do. "
            "Ask one of them, or leave quorum out."
        )


@dataclass(frozen=True)
class Vote:
    """What one source says: `source` is a document's id or a tool's name, `text` what was read there."""

    value: str
    source: str
    text: str = ""


@dataclass(frozen=True)
class Verdict:
    """`value` is None while no value has k votes and more than any other.

    `settled`: it leads by k votes, so further sources need not be read. To stop at k votes already would be cheaper and
    give colluding sources that happen to stand first the fact.
    """

    value: str | None
    sources: tuple[str, ...]
    """Who says the value."""
    settled: bool
    against: tuple[tuple[str, tuple[str, ...]], ...]
    """What was said otherwise, and by which sources."""

    @property
    def votes(self) -> int:
        return len(self.sources)

    @property
    def disagreement(self) -> str:
        """For the trace; empty where all agree."""
        others = "; ".join(f"{value!r} says {', '.join(sources)}" for value, sources in self.against)
        if not others:
            return ""
        return f"{self.value!r} by {self.votes}, but {others}" if self.value is not None else f"no quorum: {others}"

    @property
    def counts(self) -> str:
        """The same without a word of any document, for the bill, which outlives them; empty where all agree."""
        otherwise = sum(len(sources) for _, sources in self.against)
        if not otherwise:
            return ""
        if self.value is None:
            return f"no quorum among {otherwise} documents that say {len(self.against)} things"
        return f"{self.votes} documents agree, {otherwise} say otherwise"


def decide(votes: Sequence[Vote], k: int) -> Verdict:
    """What the votes come to so far, compared without case, articles and punctuation."""
    said: dict[str, list[Vote]] = {}
    for vote in _independent(votes):
        said.setdefault(normalise(vote.value), []).append(vote)
    most, second, *_ = [*sorted(map(len, said.values()), reverse=True), 0, 0]
    lead = most - second
    winner = max(said, key=lambda value: len(said[value])) if lead > 0 and most >= k else None
    against = tuple(
        (mine[0].value, tuple(vote.source for vote in mine)) for value, mine in said.items() if value != winner
    )
    if winner is None:
        return Verdict(None, (), settled=False, against=against)
    sources = tuple(vote.source for vote in said[winner])
    return Verdict(said[winner][0].value, sources, settled=lead >= k, against=against)


def _independent(votes: Sequence[Vote]) -> list[Vote]:
    """The first vote of each source and of each text."""
    sources: set[str] = set()
    texts: set[str] = set()
    counted = []
    for vote in votes:
        text = normalise(vote.text)
        if vote.source in sources or (text and text in texts):
            continue
        sources.add(vote.source)
        texts.add(text)
        counted.append(vote)
    return counted
