"""`team`: a planner cuts the question into sub-tasks, specialists do them side by side, what they found is gathered.

They share the task's blackboard and its budget. Every way in which a plan can be wrong ends in a mended plan or in one
plain research task, never in none.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from itertools import count
from typing import Annotated

import dspy

from agents.answer import Citation
from agents.programs.team.plan import MAX_SUB_TASKS, Plan, PlanRefused, SubTask, carry_out, read_plan
from agents.programs.team.roles import Finding, roles_to_be_had, specialists
from agents.prompting.constraints import MISSING, NONE, JsonAs, QuestionOr, SpanOf
from agents.reading.reading_order import cite
from agents.reading.signatures import Conclude, NothingFound, concluded
from agents.task.blackboard import MAX_CHARACTERS, Kind
from agents.task.recorder import mark, reference
from agents.task.task import Task, current_task

ROUNDS = 2  # the critic may ask for one more: what two rounds have not found, a third does not
_FINDING, _EACH_NAME = "{{{}}}", "{{each {}}}"  # where in a question what a sub-task found stands
_NAMES = re.compile(r",\s*(?:and\s+)?|\s+and\s+")  # between those of a list
COMPLETE = "complete"
DESCRIPTION_WORDS = 3  # fewer are a name, or "none"
WORDS_LEFT = 3  # of a question beside a description: fewer, such as "Who is", ask for what is described itself
NAMED = "named"  # the sub-task that looks up what the question describes
PLAN = "_plan"  # on the board, where no sub-task's id can be that


class FindDescribed(dspy.Signature):
    """Copy the words of the question that describe one thing in place of its name. Say "none" where each thing is
    named."""

    question: str = dspy.InputField()
    described: Annotated[str, SpanOf("question")] = dspy.OutputField(desc="a few words of the question, or none")


class PlanTasks(dspy.Signature):
    """Cut the question into as few sub-tasks as it needs. A sub-task that uses what another found names that in
    needs, and writes {id} where the finding stands, or {each id} to be asked once for each name in it."""

    roles: list[str] = dspy.InputField(desc="role: what it does")
    refused: str = dspy.InputField(desc="what was wrong with the last plan, or none")
    question: str = dspy.InputField()
    plan: Annotated[str, JsonAs(Plan, max_tokens=700)] = dspy.OutputField(desc="JSON")


class AskForMore(dspy.Signature):
    """Say "complete" when the findings answer the question, else what is missing, as the one question still open."""

    facts: list[str] = dspy.InputField(desc="what was found, as name: fact")
    answer: str = dspy.InputField()
    question: str = dspy.InputField()
    open: Annotated[str, QuestionOr(COMPLETE)] = dspy.OutputField(
        desc='"complete", or "missing: " and a question of a few words'
    )


class Team(dspy.Module):
    """Plan; name what is only described, and plan anew; do what can be done side by side; gather; once more if the
    critic misses something."""

    def __init__(self) -> None:
        super().__init__()
        self.describe = dspy.Predict(FindDescribed, agent="describe")
        self.plan = dspy.Predict(PlanTasks, agent="plan_tasks")
        self.plan_named = dspy.Predict(PlanTasks, agent="plan_named")
        self.ask_for_more = dspy.Predict(AskForMore, agent="ask_for_more")
        self.conclude = dspy.Predict(Conclude, agent="conclude")
        self.specialists = specialists()

    async def aforward(self, question: str) -> dspy.Prediction:
        task, findings = current_task(), _Findings(question)
        plan = await self._planned(task, self.plan, question, findings)
        wants_names = plan is None or plan.combines
        if wants_names and (named := await self._named(task, question, findings)) != question:
            question, plan = named, await self._planned(task, self.plan_named, named, findings) or plan
        plan = plan or _one_look_up("research", question)
        last: list[str] = []
        for round_number in range(1, ROUNDS + 1):
            await self._round(task, plan, findings)
            last += [sub.id for sub in plan.last()]
            answer = await self._gathered(task, last, findings, question)
            if round_number == ROUNDS or not (missing := await self._missing(plan, answer, findings, question)):
                break
            plan = _one_look_up(findings.unused_id("more"), missing)
        if not answer:
            raise findings.why_not or NothingFound("no sub-task found anything")
        return dspy.Prediction(answer=answer)

    async def _named(self, task: Task, question: str, findings: "_Findings") -> str:
        """The question with the name of what it only describes, which is looked up first: a small model's plan of
        several numbers passes over it, or is refused. As it is where it describes nothing, or nothing is found."""
        said = await self.describe.acall(question=question, config=mark(0))
        if not _is_part(said.described, question):
            return question
        await self._round(task, _one_look_up(NAMED, f"Which is {said.described}?"), findings)
        return question.replace(said.described, findings.joined(NAMED)) if NAMED in findings.by_id else question

    async def _planned(self, task: Task, planner: dspy.Predict, question: str, findings: "_Findings") -> Plan | None:
        """The model's plan, mended once where it was refused; None where it was refused again."""
        roles = await roles_to_be_had(task)
        lines, refused = [f"{role}: {does}" for role, does in roles.items()], NONE
        for _ in range(2):
            said = await planner.acall(roles=lines, refused=refused, question=question, config=mark(0))
            try:
                plan = read_plan(said.plan, roles=roles, max_depth=task.budget.limits.max_depth, taken=findings.taken)
            except PlanRefused as refusal:
                refused = str(refusal)
            else:
                await self._noted(task, plan.model_dump_json())
                return plan
        await self._noted(task, f"refused twice: {refused}")
        return None

    async def _noted(self, task: Task, plan: str) -> None:
        before = task.board.read(PLAN)
        version = before.version if before else 0
        await task.board.write(PLAN, "plan", plan[:MAX_CHARACTERS], author="planner", read_version=version)

    async def _round(self, task: Task, plan: Plan, findings: "_Findings") -> None:
        before = findings.hops
        findings.expect(plan)

        async def work(sub: SubTask) -> None:
            known = findings.lines(*(need for need in sub.needs if need not in sub.spelled()))
            hop = findings.begin(sub, before)
            try:
                questions = findings.filled(sub)
                specialist = self.specialists[sub.role]
                found = [
                    await specialist.find(task, sub.id if len(questions) == 1 else f"{sub.id}.{n}", asked, known, hop)
                    for n, asked in enumerate(questions, start=1)
                ]
            except NothingFound as nothing:
                findings.why_not = nothing
                await task.board.write(sub.id, "review", f"nothing: {nothing}"[:MAX_CHARACTERS], author=sub.role)
                return
            kind: Kind = "review" if sub.role == "critic" else "finding"
            read = [reference(passage) for one in found for passage in one.passages]
            text = _joined(found)
            await task.board.write(sub.id, kind, text[:MAX_CHARACTERS], author=sub.role, provenance=read)
            if sub.role != "critic":
                findings.add(sub.id, found)
                await task.propose(text, findings.citations())

        await carry_out(plan, task.budget.limits.max_fan_out, work, task.journal)

    async def _gathered(self, task: Task, last: Sequence[str], findings: "_Findings", question: str) -> str:
        """The finding of the last sub-task; where there are several, of a plan or of two rounds, what follows from
        them. Where it has none, what follows from all that it needed; one of these alone is no answer yet."""
        found = [id for id in last if id in findings.by_id]
        if not found and len(found := findings.behind(last)) < 2:
            return ""
        facts = findings.lines(*found)
        answer = findings.by_id[found[0]][0].text
        if len(facts) > 1:
            answer = await concluded(self.conclude, task, facts, question, findings.hops)
        await task.propose(answer, findings.citations())
        return answer

    async def _missing(self, plan: Plan, answer: str, findings: "_Findings", question: str) -> str:
        """What the critic still asks for; "" when nothing."""
        if not answer:
            return question
        if len(plan.tasks) == 1:
            return ""  # one look-up, which found it: a critic would be half as dear again
        facts = findings.lines(*findings.by_id)
        said = await self.ask_for_more.acall(facts=facts, answer=answer, question=question, config=mark(findings.hops))
        return "" if said.open == COMPLETE else str(said.open).removeprefix(MISSING)


class _Findings:
    """What the specialists found so far, by sub-task, in the order of the plans: which of two ends first is chance."""

    def __init__(self, question: str) -> None:
        self._question = question
        self.by_id: dict[str, list[Finding]] = {}
        self.why_not: NothingFound | None = None
        self._hop: dict[str, int] = {}
        self._needs: dict[str, Sequence[str]] = {}
        self._order: list[str] = []

    @property
    def hops(self) -> int:
        """How many sub-tasks have followed one another so far."""
        return max(self._hop.values(), default=0)

    @property
    def taken(self) -> Collection[str]:
        """Ids of all sub-tasks that were begun."""
        return self._hop.keys()

    def begin(self, sub: SubTask, before: int) -> int:
        """The hop of a sub-task: one more than that of those that it needs, or than all of the rounds before."""
        self._needs[sub.id] = sub.needs
        self._hop[sub.id] = 1 + max((self._hop[need] for need in sub.needs), default=before)
        return self._hop[sub.id]

    def behind(self, ids: Iterable[str]) -> list[str]:
        """Of what these needed, the last that found something."""
        needed = [need for id in ids for need in self._needs[id]]
        found = [one for need in needed for one in ([need] if need in self.by_id else self.behind([need]))]
        return list(dict.fromkeys(found))

    def unused_id(self, stem: str) -> str:
        """An id that the planner has not given to a sub-task of its own."""
        return next(id for number in count(1) if (id := f"{stem}{number}") not in self._hop)

    def expect(self, plan: Plan) -> None:
        """Findings of these come after all others."""
        self._order += [sub.id for sub in plan.tasks]

    def add(self, id: str, found: list[Finding]) -> None:
        known = self.by_id | {id: found}
        self.by_id = {one: known[one] for one in self._order if one in known}

    def filled(self, sub: SubTask) -> list[str]:
        """What the sub-task asks, each `{id}` replaced by what that one found; `{each id}`: once for each name in it.
        Raises NothingFound where that one found nothing: a model would make something of the bare place."""
        question, spelled = sub.question, [id for id in sub.spelled() if id in sub.needs]
        if unfilled := next((id for id in spelled if id not in self.by_id), None):
            raise NothingFound(f"{unfilled}, which it asks about, found nothing")
        for id in spelled:
            question = question.replace(_FINDING.format(id), self.joined(id))
        for id in spelled:
            if (each := _EACH_NAME.format(id)) in question:
                return [question.replace(each, name) for name in _NAMES.split(self.joined(id))[:MAX_SUB_TASKS]]
        return [question]

    def joined(self, id: str) -> str:
        """All that a sub-task found, as a list in one line."""
        return _joined(self.by_id[id])

    def lines(self, *ids: str) -> list[str]:
        return [f"{id}: {one.text}" for id in ids for one in self.by_id.get(id, ())]

    def citations(self) -> list[Citation]:
        return cite(self._question, *((one.text, list(one.passages)) for found in self.by_id.values() for one in found))


def _one_look_up(id: str, question: str) -> Plan:
    return Plan(tasks=(SubTask(id=id, role="researcher", question=question[:300], needs=()),))


def _is_part(described: str, question: str) -> bool:
    """Whether words are a description in a question, neither a name nor all that is asked."""
    words = len(described.split())
    return described in question and words >= DESCRIPTION_WORDS and len(question.split()) - words >= WORDS_LEFT


def _joined(found: Iterable[Finding]) -> str:
    return ", ".join(one.text for one in found)
