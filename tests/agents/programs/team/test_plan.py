"""A wrong plan is refused with what to change; the sub-tasks of a right plan run side by side."""

import asyncio
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.programs.team.plan import MAX_SUB_TASKS, Plan, PlanRefused, read_plan
from agents.programs.team.roles import ROLES
from agents.programs.team.schedule import carry_out
from agents.task.journal import Journal


def sub(id, *needs, role="researcher", question="How long?"):
    return {"id": id, "role": role, "question": question, "needs": list(needs)}


def read(*tasks, roles=ROLES, max_depth=4):
    return read_plan(json.dumps({"tasks": tasks}), roles=roles, max_depth=max_depth)


def test_a_good_plan_knows_which_findings_are_the_answers():
    plan = read(sub("a"), sub("b"), sub("c", "a", "b", role="coder"))

    assert [task.id for task in plan.last()] == ["c"]


def test_a_critics_review_is_no_answer():
    plan = read(sub("a"), sub("check", "a", role="critic"))

    assert [task.id for task in plan.last()] == ["a"]


def test_a_sub_task_needs_what_its_question_spells():
    plan = read(sub("a"), sub("b"), sub("c", "a", question="Are {a}, {each b} and {each b} in {c0} or {}?"))

    assert [task.needs for task in plan.tasks] == [(), (), ("a", "b")]  # {c0} is no sub-task, and stays as it is


def test_of_two_sub_tasks_of_one_id_what_follows_means_the_later():
    long = "a" * 16
    plan = read(
        sub("a"), sub("a", question="Is {a} it?"), sub("b", "a", question="Are {a} and {each a}?"), sub(long), sub(long)
    )

    assert [(task.id, task.question, task.needs) for task in plan.tasks[:3]] == [
        ("a", "How long?", ()),
        ("a2", "Is {a} it?", ("a",)),
        ("b", "Are {a2} and {each a2}?", ("a2",)),
    ]
    assert [task.id for task in plan.tasks[3:]] == [long, f"{long[:13]}2"]


def test_an_id_that_is_taken_is_not_given_again():
    plan = read_plan(json.dumps({"tasks": [sub("a"), sub("b", "a")]}), roles=ROLES, max_depth=4, taken={"a", "a2"})

    assert [(task.id, task.needs) for task in plan.tasks] == [("a3", ()), ("b", ("a3",))]


@pytest.mark.parametrize(
    ("tasks", "why"),
    [
        ([sub("a", "b"), sub("b", "a")], "waits for .*: a circle. Take one of the needs out"),
        ([sub("a", "a")], "a circle"),
        (
            [sub("a", role="wizard")],
            "tasks.0.role: Input should be 'researcher', 'analyst', 'coder', 'connector' or 'critic'",
        ),
        ([sub("a", role="analyst")], "a: role 'analyst' is not to be had now. There are researcher, critic."),
        ([sub("a", question="How long is {a}?")], "a waits for a: a circle"),
        ([sub("a", "ghost")], "a: needs 'ghost', which is no task. There are a."),
        ([sub(f"t{number}") for number in range(200)], f"at most {MAX_SUB_TASKS} items"),
        ([], "at least 1 item"),
        ([sub("a"), sub("b", "a"), sub("c", "b")], "3 tasks wait for one another, at most 2 may"),
        ([sub("a", question="")], "at least 1 character"),
        ([sub("a", question="x" * 999)], "at most 300 characters"),
        ([sub("a b")], "String should match pattern"),
        ([{"id": "a"}], "Field required"),
        ([sub("a") | {"tenant_id": "other"}], "Extra inputs are not permitted"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_says_why(tasks, why):
    with pytest.raises(PlanRefused, match=why) as caught:
        read(*tasks, roles=("researcher", "critic"), max_depth=2)

    assert len(str(caught.value)) < 300


@given(st.text(max_size=60) | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
def test_any_text_is_a_plan_or_refused(text):
    with contextlib.suppress(PlanRefused):
        assert read_plan(text, roles=ROLES, max_depth=4).tasks


async def run(plan, max_fan_out, work):
    await carry_out(Plan.model_validate({"tasks": plan}), max_fan_out, work, Journal())


async def test_what_waits_for_nothing_runs_at_the_same_time_up_to_the_fan_out():
    running, most, order = 0, 0, []

    async def work(task):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        order.append(task.id)

    await run([sub("end", "a", "b", "c", "d"), *(sub(name) for name in "abcd")], 3, work)

    assert (most, order[-1], sorted(order)) == (3, "end", ["a", "b", "c", "d", "end"])


async def test_the_first_error_ends_what_runs_and_what_waits():
    ended = []

    async def work(task):
        if task.id == "bad":
            raise ValueError("?")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append(task.id)
            raise

    with pytest.raises(ValueError, match=r"\?"):
        await asyncio.wait_for(run([sub("slow"), sub("bad"), sub("later", "bad")], 4, work), 5)

    assert ended == ["slow"]
