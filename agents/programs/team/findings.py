"""The findings of a team's specialists, by sub-task."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import count

from agents.answer import Citation
from agents.programs.team.places import filled
from agents.programs.team.plan import MAX_SUB_TASKS, Plan, SubTask
from agents.reading.answerability import NothingFound
from agents.reading.citations import cite
from lakehouse.index.passages import Passage


@dataclass(frozen=True)
class Finding:
    """A specialist's answer to a sub-question, and the passages that it was read from."""

    text: str
    passages: tuple[Passage, ...] = ()


class Findings:
    """All findings of one task, in the order of its plans; the order in which sub-tasks end is chance.

    `by_id`: findings by sub-task, without the sub-tasks that found nothing. `why_not`: the last reason for nothing.
    """

    def __init__(self, question: str) -> None:
        self._question = question
        self.by_id: dict[str, list[Finding]] = {}
        self.why_not: NothingFound | None = None
        self._hop: dict[str, int] = {}
        self._needs: dict[str, Sequence[str]] = {}
        self._order: list[str] = []

    @property
    def hops(self) -> int:
        """The longest chain of sub-tasks so far."""
        return max(self._hop.values(), default=0)

    @property
    def begun_ids(self) -> Collection[str]:
        """Ids of all sub-tasks that have begun."""
        return self._hop.keys()

    def unused_id(self, stem: str) -> str:
        """An id that no sub-task has."""
        return next(id for number in count(1) if (id := f"{stem}{number}") not in self._hop)

    def expect(self, plan: Plan) -> None:
        """Order the plan's findings behind all earlier ones."""
        self._order += [sub.id for sub in plan.tasks]

    def begin(self, sub: SubTask, before: int) -> int:
        """Note that a sub-task begins, and return its hop: one more than the hops of its needs, or than `before`."""
        self._needs[sub.id] = sub.needs
        self._hop[sub.id] = 1 + max((self._hop[need] for need in sub.needs), default=before)
        return self._hop[sub.id]

    def add(self, id: str, findings: list[Finding]) -> None:
        """Keep the findings of a sub-task."""
        by_id = self.by_id | {id: findings}
        self.by_id = {known: by_id[known] for known in self._order if known in by_id}

    def needed_by(self, ids: Iterable[str]) -> list[str]:
        """The sub-tasks that these needed; in place of one that found nothing, the sub-tasks that it needed."""
        needs = [need for id in ids for need in self._needs[id]]
        with_findings = [id for need in needs for id in ([need] if need in self.by_id else self.needed_by([need]))]
        return list(dict.fromkeys(with_findings))

    def questions_of(self, sub: SubTask) -> list[str]:
        """The sub-task's question with the findings in its places, or several questions for an `{each id}`.

        Raises NothingFound where a place has no finding: a model would guess one.
        """
        ids = [id for id in sub.ids_in_question() if id in sub.needs]
        if missing := next((id for id in ids if id not in self.by_id), None):
            raise NothingFound(f"{missing}, which it asks about, found nothing")
        return filled(sub.question, {id: self.joined(id) for id in ids})[:MAX_SUB_TASKS]

    def joined(self, id: str) -> str:
        """All findings of a sub-task as a list in one line."""
        return joined(self.by_id[id])

    def facts(self, *ids: str) -> list[str]:
        """A line for each finding of these sub-tasks, as `id: finding`."""
        return [f"{id}: {finding.text}" for id in ids for finding in self.by_id.get(id, ())]

    def citations(self) -> list[Citation]:
        """Citations of all findings."""
        findings = [finding for of_sub_task in self.by_id.values() for finding in of_sub_task]
        return cite(self._question, *((finding.text, finding.passages) for finding in findings))


def joined(findings: Iterable[Finding]) -> str:
    """Findings as a list in one line."""
    return ", ".join(finding.text for finding in findings)
