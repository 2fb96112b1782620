"""A quorum: a fact is taken only when k independent sources agree, so that a single false source is outvoted.

Independent sources are different documents with different texts: a copy, or a second passage of one document, has no
vote. Deviating votes are kept for the trace.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lakehouse.errors import InvalidInput
from lakehouse.text.scoring import normalise

VOTING_PROGRAMS = ("multihop", "team")
"""Programs that read one passage at a time; passages read together have no votes of their own."""


def check_quorum(program: str, quorum: int) -> None:
    """Raise InvalidInput for a quorum that the program would ignore."""
    if quorum > 1 and program not in VOTING_PROGRAMS:
        raise InvalidInput(
            f"quorum={quorum}: program {program!r} lets no documents vote, {' and '.join(VOTING_PROGRAMS)} do. "
            "Ask one of them, or leave quorum out."
        )


@dataclass(frozen=True)
class Vote:
    """The value that one source states. `source`: a document's id or a tool's name; `text`: the passage read."""

    value: str
    source: str
    text: str = ""


@dataclass(frozen=True)
class Verdict:
    """The result of a vote. `value`: with at least k votes and more than any other; None without such a value.

    `settled`: the value leads by k votes, so that further sources need not be read. Stopping at k votes would cost
    less, but then k colluding sources that happen to come first would decide the fact.
    """

    value: str | None
    sources: tuple[str, ...]
    """Sources of the value."""
    settled: bool
    against: tuple[tuple[str, tuple[str, ...]], ...]
    """Each other value with its sources."""

    @property
    def votes(self) -> int:
        return len(self.sources)

    @property
    def disagreement(self) -> str:
        """The other values and their sources, for the trace; empty where all agree."""
        others = "; ".join(f"{value!r} says {', '.join(sources)}" for value, sources in self.against)
        if not others:
            return ""
        return f"{self.value!r} by {self.votes}, but {others}" if self.value is not None else f"no quorum: {others}"

    @property
    def counts(self) -> str:
        """The same as numbers, for the call record, which outlives the documents; empty where all agree."""
        otherwise = sum(len(sources) for _, sources in self.against)
        if not otherwise:
            return ""
        if self.value is None:
            return f"no quorum among {otherwise} documents that say {len(self.against)} things"
        return f"{self.votes} documents agree, {otherwise} say otherwise"


def decide(votes: Sequence[Vote], k: int) -> Verdict:
    """Count the votes. Case, articles and punctuation of a value do not matter."""
    by_value: dict[str, list[Vote]] = {}
    for vote in _independent(votes):
        by_value.setdefault(normalise(vote.value), []).append(vote)
    most, second, *_ = [*sorted(map(len, by_value.values()), reverse=True), 0, 0]
    lead = most - second
    winner = max(by_value, key=lambda value: len(by_value[value])) if lead > 0 and most >= k else None
    against = tuple(
        (same[0].value, tuple(vote.source for vote in same)) for value, same in by_value.items() if value != winner
    )
    if winner is None:
        return Verdict(None, (), settled=False, against=against)
    sources = tuple(vote.source for vote in by_value[winner])
    return Verdict(by_value[winner][0].value, sources, settled=lead >= k, against=against)


def _independent(votes: Sequence[Vote]) -> list[Vote]:
    """The first vote of each source, without copies of a text that has voted."""
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
