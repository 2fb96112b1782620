"""Compiling: what the teacher is told, what becomes a demonstration, and what goes live."""

import asyncio
import json

import pytest

from agents import compile as compiling
from agents.compile import HintedAdapter, Question, Workbench, judged, main, read_questions, register
from agents.programs import PROGRAMS
from agents.runtime import UNCOMPILED, load_program, program_version
from lakehouse import delta
from lakehouse.errors import InvalidInput
from lakehouse.settings import Settings
from lakehouse.tables import AGENT_PROGRAMS
from tests.agents.conftest import CALLER, passage

RED = passage("Barn", "The barn is red.\nIt has 2 doors.")
LENGTH = Question("How long is the Warta?", ("808 km",), ("Oder", "Warta"))
SUM = Question("How many do both have?", ("1",), ("Oder", "Warta", "Neisse"))
TRAIN = [Question(f"Which colour has barn {n}?", ("red",), ("Barn",)) for n in range(3)]
TEST = [Question("Which colour has the barn?", ("red",), ("Barn",))]


@pytest.fixture
def compiled(tmp_path, monkeypatch):
    """Where compiled programs lie: nowhere near the shipped ones."""
    folder = tmp_path / "compiled"
    monkeypatch.setattr("agents.runtime.COMPILED", folder)
    monkeypatch.setattr(compiling, "COMPILED", folder)
    load_program.cache_clear()
    yield folder
    load_program.cache_clear()


@pytest.fixture
async def judge(deps, index, compiled):
    """Compiles single_shot beside the event loop that the scripted model answers on."""
    index.passages = [RED]

    def compile_and_judge(optimizer):
        workbench = Workbench(deps, CALLER, "single_shot", TRAIN)
        try:
            return judged(workbench, "single_shot", optimizer, TRAIN, TEST)
        finally:
            workbench.close()

    return lambda optimizer="bootstrap": asyncio.to_thread(compile_and_judge, optimizer)


def predictor(program, name):
    return dict(PROGRAMS[program]().named_predictors())[name].signature


def hint(question, signature, **inputs):
    (output,) = signature.output_fields.values()
    (constraint,) = output.metadata
    return HintedAdapter(question).allowed(constraint, inputs)


def test_the_teacher_may_only_plan_as_many_look_ups_as_there_are_other_gold_documents():
    assert hint(SUM, predictor("multihop", "plan")) == {"choice": ["2"]}


def test_the_teacher_may_only_read_the_gold_answer_where_it_stands():
    read = predictor("multihop", "read")
    assert hint(LENGTH, read, passage="The Warta is 808  km long.") == {"choice": ["808  km"]}
    assert "grammar" in hint(LENGTH, read, passage="The Warta springs in Kromołów.")


def test_the_teacher_reads_any_number_where_the_answer_is_worked_out_from_several():
    assert hint(SUM, predictor("multihop", "read"), passage="It has 1 of 12 parts.") == {"choice": ["1", "12"]}


def test_the_teacher_may_only_conclude_a_sum_that_is_right():
    conclude = predictor("multihop", "conclude")
    assert hint(SUM, conclude, facts=["Warta: 3", "Neisse: 2"]) == {"choice": ["3 - 2"]}
    assert "grammar" in hint(SUM, conclude, facts=["Warta: 8", "Neisse: 5"])


@pytest.mark.parametrize("optimizer", compiling.OPTIMIZERS)
async def test_what_was_compiled_is_what_then_runs(model, judge, compiled, ask, optimizer):
    model.always_says("red")
    row = await judge(optimizer)
    assert (row["live"], row["score_before"], row["score_after"]) == (True, 1.0, 1.0)
    assert (row["trained_on"], row["tested_on"], row["model"]) == (3, 1, "SmolLM2-135M-Instruct")
    assert row["version"] == program_version(compiled / "single_shot.json")
    assert json.loads((compiled / "single_shot.scores.json").read_text())["version"] == row["version"]

    load_program.cache_clear()
    module, version = load_program("single_shot")
    assert version == row["version"]
    asked = len(model.asked)
    assert (await ask(program="single_shot")).answer == "red"
    shown = [turn["content"] for turn in model.asked[asked]["messages"]]
    for demonstration in module.answer.demos:
        assert f"Passages: {RED.text}\nQuestion: {demonstration['question']}" in shown


async def test_every_success_of_the_teacher_becomes_a_demonstration(model, judge, compiled):
    model.always_says("red")
    await judge()
    demos = json.loads((compiled / "single_shot.json").read_text())["answer"]["demos"]
    assert {demo["question"] for demo in demos} == {question.text for question in TRAIN}
    assert {demo["answer"] for demo in demos} == {"red"}


async def test_addresses_are_left_out_of_demonstrations(model, index, judge, compiled):
    index.passages = [passage("Barn", "The barn (see https://example.org/barn?x=1) is red.")]
    model.always_says("red")
    await judge()
    demos = json.loads((compiled / "single_shot.json").read_text())["answer"]["demos"]
    assert {demo["passages"] for demo in demos} == {"The barn (see ) is red."}


async def test_an_answer_that_is_only_right_in_passing_is_no_demonstration(model, judge, compiled):
    model.always_says("The barn is red. It has 2 doors.")
    row = await judge()
    assert (row["score_after"], row["live"]) == (1.0, True)
    assert json.loads((compiled / "single_shot.json").read_text())["answer"]["demos"] == []


async def test_what_is_worse_does_not_go_live(model, judge, compiled, monkeypatch):
    model.always_says("red")
    scores = iter([0.9, 0.8])
    monkeypatch.setattr(Workbench, "score", lambda *_: next(scores))
    row = await judge()
    assert (row["live"], row["why"]) == (False, "0.800 of 1 test questions right, 0.900 before")
    assert list(compiled.iterdir()) == []
    assert load_program("single_shot")[1] == UNCOMPILED


async def test_compiling_leaves_the_records_of_every_call(model, judge, spooled):
    model.always_says("red")
    await judge()
    assert len([record for record in spooled() if record.operation == "chat"]) == len(model.asked)
    assert {record.key_id for record in spooled()} == {CALLER.key_id}


async def test_a_version_that_goes_live_ends_the_life_of_the_one_before(model, judge, tmp_path):
    model.always_says("red")
    row = await judge()
    settings = Settings(warehouse=str(tmp_path / "warehouse"))
    register(settings, row)
    register(settings, row | {"version": "later"})
    register(settings, row | {"version": "worse", "live": False})
    rows = {one["version"]: (one["live"], one["why"]) for one in delta.read_rows(settings, AGENT_PROGRAMS)}
    assert rows == {
        row["version"]: (False, "replaced by later"),
        "later": (True, row["why"]),
        "worse": (False, row["why"]),
    }


def test_questions_without_an_answer_are_left_out(tmp_path):
    file = tmp_path / "questions.jsonl"
    file.write_text('{"question": "a", "answer": 3, "aliases": ["three"], "gold_ids": ["x"]}\n{"question": "b"}\n')
    assert read_questions(file) == [Question("a", ("3", "three"), ("x",))]


@pytest.mark.parametrize("line", ["{", '{"answer": "no question"}', "[]", "3"])
def test_a_line_that_is_no_question_is_named(tmp_path, line):
    file = tmp_path / "questions.jsonl"
    file.write_text(f'{{"question": "a", "answer": "b"}}\n{line}\n')
    with pytest.raises(InvalidInput, match=r"questions\.jsonl, line 2: .*must be JSON like"):
        read_questions(file)


def test_the_command_line_says_in_one_line_what_is_missing(capsys, tmp_path):
    status = main(["--program", "multihop", "--questions", str(tmp_path / "none.jsonl"), "--tenant", "acme"])
    assert status == 1
    output = capsys.readouterr()
    assert (output.out, output.err.count("\n")) == ("", 1)
    assert "Name a readable JSONL file." in output.err


def test_too_few_questions_are_refused(capsys, tmp_path):
    file = tmp_path / "questions.jsonl"
    file.write_text('{"question": "a", "answer": "b"}\n')
    assert main(["--program", "multihop", "--questions", str(file), "--tenant", "acme"]) == 1
    assert "0 questions to train on, 1 others to test on" in capsys.readouterr().err
