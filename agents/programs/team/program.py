"""`team`: a planner cuts the question into sub-tasks, specialists do them side by side, their findings are combined.

The specialists share the task's blackboard and budget. A wrong plan is corrected by the model once; after that the plan
is a single look-up.
"""

from collections.abc import Sequence

import dspy

from agents.answer import PassageRef
from agents.programs.team.findings import Findings, joined
from agents.programs.team.plan import Plan, PlanRefused, SubTask, read_plan
from agents.programs.team.roles import available_roles, specialists
from agents.programs.team.schedule import carry_out
from agents.programs.team.signatures import COMPLETE, AskForMore, FindDescribed, PlanTasks
from agents.prompting.constraints import MISSING, NONE
from agents.reading.answerability import NothingFound
from agents.reading.signatures import Conclude, conclude_from
from agents.task.blackboard import MAX_CHARACTERS, Kind
from agents.task.purpose import ask_model
from agents.task.task import Task, current_task

ROUNDS = 2  # the critic may ask for one more round: what two rounds have not found, a third does not find either
DESCRIPTION_WORDS = 3  # fewer words are a name, or "none"
WORDS_LEFT = 3  # of a question beside a description: fewer, such as "Who is", ask for the described thing itself
NAMED = "named"  # id of the sub-task that looks up the described thing
PLAN = "_plan"  # key of the plan on the board; no sub-task's id begins so


class Team(dspy.Module):
    """Plan; look up what the question only describes and plan again; do the sub-tasks; combine; once more where the
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
        task, findings = current_task(), Findings(question)
        plan = await self._make_plan(task, self.plan, question, findings)
        if plan is None or plan.combines:
            named = await self._with_name(task, question, findings)
            if named != question:
                question, plan = named, await self._make_plan(task, self.plan_named, named, findings) or plan
        plan = plan or _look_up("research", question)
        last: list[str] = []
        for round_number in range(1, ROUNDS + 1):
            await self._do_round(task, plan, findings)
            last += [sub.id for sub in plan.last()]
            answer = await self._combine(task, last, findings, question)
            if round_number == ROUNDS or not (missing := await self._find_missing(plan, answer, findings, question)):
                break
            plan = _look_up(findings.unused_id("more"), missing)
        if not answer:
            raise findings.why_not or NothingFound("no sub-task found anything")
        return dspy.Prediction(answer=answer)

    async def _make_plan(self, task: Task, planner: dspy.Predict, question: str, findings: Findings) -> Plan | None:
        """The model's plan; None where it is refused twice."""
        roles = await available_roles(task)
        lines, refused = [f"{role}: {does}" for role, does in roles.items()], NONE
        for _ in range(2):
            prediction = await ask_model(planner, hop=0, roles=lines, refused=refused, question=question)
            try:
                plan = read_plan(
                    prediction.plan, roles=roles, max_depth=task.budget.limits.max_depth, taken=findings.begun_ids
                )
            except PlanRefused as refusal:
                refused = str(refusal)
            else:
                await self._write_plan(task, plan.model_dump_json())
                return plan
        await self._write_plan(task, f"refused twice: {refused}")
        return None

    async def _write_plan(self, task: Task, plan: str) -> None:
        before = task.board.read(PLAN)
        version = before.version if before else 0
        await task.board.write(PLAN, "plan", plan[:MAX_CHARACTERS], author="planner", read_version=version)

    async def _with_name(self, task: Task, question: str, findings: Findings) -> str:
        """The question with a description replaced by the name that a look-up finds; unchanged without either.

        A small model's plan for several numbers ignores a description, or is refused.
        """
        described = (await ask_model(self.describe, hop=0, question=question)).described
        if not _is_description(described, question):
            return question
        await self._do_round(task, _look_up(NAMED, f"Which is {described}?"), findings)
        return question.replace(described, findings.joined(NAMED)) if NAMED in findings.by_id else question

    async def _do_round(self, task: Task, plan: Plan, findings: Findings) -> None:
        """Do all sub-tasks of a plan."""
        before = findings.hops
        findings.expect(plan)
        await carry_out(
            plan,
            task.budget.limits.max_fan_out,
            lambda sub: self._do_sub_task(task, sub, findings, before),
            task.journal,
        )

    async def _do_sub_task(self, task: Task, sub: SubTask, findings: Findings, before: int) -> None:
        """Ask the role's specialist and write its findings, or the reason for none, to the board."""
        known = findings.facts(*(need for need in sub.needs if need not in sub.ids_in_question()))
        hop = findings.begin(sub, before)
        specialist = self.specialists[sub.role]
        try:
            questions = findings.questions_of(sub)
            ids = [sub.id] if len(questions) == 1 else [f"{sub.id}.{n}" for n in range(1, len(questions) + 1)]
            found = [
                await specialist.find(task, id, question, known, hop)
                for id, question in zip(ids, questions, strict=True)
            ]
        except NothingFound as nothing:
            findings.why_not = nothing
            await task.board.write(sub.id, "review", f"nothing: {nothing}"[:MAX_CHARACTERS], author=sub.role)
            return
        kind: Kind = "review" if sub.role == "critic" else "finding"
        text, sources = joined(found), [PassageRef.of(passage) for finding in found for passage in finding.passages]
        await task.board.write(sub.id, kind, text[:MAX_CHARACTERS], author=sub.role, provenance=sources)
        if sub.role != "critic":
            findings.add(sub.id, found)
            await task.propose(text, findings.citations())

    async def _combine(self, task: Task, last: Sequence[str], findings: Findings, question: str) -> str:
        """The answer from the findings of the last sub-tasks, of one plan or of two rounds; "" without any.

        Where these have none, from the findings that they needed, if there are two: a single one is an intermediate
        result, no answer.
        """
        ids = [id for id in last if id in findings.by_id]
        if not ids and len(ids := findings.needed_by(last)) < 2:
            return ""
        facts = findings.facts(*ids)
        answer = findings.by_id[ids[0]][0].text
        if len(facts) > 1:
            answer = await conclude_from(self.conclude, task, facts, question, hop=findings.hops)
        await task.propose(answer, findings.citations())
        return answer

    async def _find_missing(self, plan: Plan, answer: str, findings: Findings, question: str) -> str:
        """The question that the critic still asks; "" without any."""
        if not answer:
            return question
        if len(plan.tasks) == 1:
            return ""  # a look-up that found its fact: a critic would cost half as much again
        facts = findings.facts(*findings.by_id)
        prediction = await ask_model(
            self.ask_for_more, hop=findings.hops, facts=facts, answer=answer, question=question
        )
        return "" if prediction.open == COMPLETE else str(prediction.open).removeprefix(MISSING)


def _look_up(id: str, question: str) -> Plan:
    """A plan of one look-up."""
    return Plan(tasks=(SubTask(id=id, role="researcher", question=question[:300], needs=()),))


def _is_description(words: str, question: str) -> bool:
    """Whether words of the question are a description in it: neither a name nor all that it asks for."""
    count = len(words.split())
    return words in question and count >= DESCRIPTION_WORDS and len(question.split()) - count >= WORDS_LEFT
