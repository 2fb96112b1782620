"""Compiling: the teacher's hints, the choice of demonstrations, and whom a live version answers."""

import asyncio
import gc
import json
import logging
from decimal import Decimal

import dspy
import pytest

from agents.compile.compiler import compile_program, main, read_answered
from agents.compile.optimizers import OPTIMIZERS, example_of
from agents.compile.scores import Score, Worth
from agents.compile.teacher import HintedAdapter
from agents.compile.workbench import Workbench
from agents.programs import PROGRAMS
from agents.runtime import UNCOMPILED, load_program
from lakehouse.access.permissions import Caller, acl_key
from lakehouse.errors import InvalidInput, LakehopError, Unavailable
from lakehouse.settings import Settings
from lakehouse.state.programs import SHIPPED, ProgramRegistry
from lakehouse.storage import delta
from lakehouse.tables import ACL_KEYS, CHUNKS, COMPILED_PROGRAMS
from lakehouse.text.questions import LabelledQuestion
from tests.agents.conftest import CALLER, Reply, passage

RED = passage("Barn", "The barn is red.\nIt has 2 doors.")
LENGTH = LabelledQuestion("How long is the Warta?", ("808 km",), ("Oder", "Warta"))
SUM = LabelledQuestion("How many do both have?", ("1",), ("Oder", "Warta", "Neisse"))
TRAIN = [LabelledQuestion(f"Which colour has barn {n}?", ("red",), ("Barn",)) for n in range(4)]
TEST = [LabelledQuestion("Which colour has the barn?", ("red",), ("Barn",))]
INSTRUCTION = "Name the colour and nothing else."


def writing(body):
    """A model that answers `red`, and an optimizer's request with an instruction in the requested form."""
    prompt = "\n".join(message["content"] for message in body["messages"])
    if "[[ ## proposed_instruction ## ]]" in prompt:
        return Reply(f"[[ ## proposed_instruction ## ]]\n{INSTRUCTION}\n\n[[ ## completed ## ]]")
    if "[[ ## " in prompt:
        said = "".join(f"[[ ## {field} ## ]]\nBarns.\n\n" for field in ("observations", "summary"))
        return Reply(f"{said}[[ ## completed ## ]]")
    return Reply(f"```\n{INSTRUCTION}\n```" if "```" in prompt else "red")  # GEPA wants instructions in a fence


@pytest.fixture
def warehouse(warehouse, tmp_path):
    """A warehouse of this test alone, with the document that programs read."""
    settings = Settings(warehouse=str(tmp_path / "warehouse"))
    keys = [{"tenant_id": "acme", "acl_key": acl_key([name]), "acl_groups": [name]} for name in ("eng", "hr")]
    delta.upsert(settings, ACL_KEYS, keys)
    may_be_read_by(settings, "eng")
    return settings.warehouse


def may_be_read_by(settings, group):
    chunk = {
        "tenant_id": "acme", "chunk_id": RED.chunk_id, "source": "farm", "doc_id": RED.doc_id, "position": 0,
        "title": RED.title, "heading_path": [], "text": RED.text, "start_offset": 0, "end_offset": 1, "token_count": 1,
        "content_hash": "h", "acl_groups": [group], "acl_key": acl_key([group]), "uri": "u", "ingest_run_id": "r",
    }  # fmt: skip
    delta.upsert(settings, CHUNKS, [chunk])


@pytest.fixture(autouse=True)
def nothing_ships(deps, index, monkeypatch, tmp_path):
    """No shipped program: only a program compiled by the test answers."""
    monkeypatch.setattr("agents.runtime.COMPILED", tmp_path)
    monkeypatch.setattr("lakehouse.state.programs._AGE_S", 0.0)
    monkeypatch.setattr(deps.retriever, "_embed", lambda *_: None)  # there is no collection to look its model up in
    index.passages = [RED]
    load_program.cache_clear()
    yield
    load_program.cache_clear()


@pytest.fixture
def registry(settings):
    return ProgramRegistry(settings)


@pytest.fixture
async def judge(deps, registry):
    """Compiles single_shot beside the event loop that the scripted model answers on."""

    def compile_and_judge(optimizer):
        workbench = Workbench(deps, CALLER, "single_shot", TRAIN)
        try:
            return compile_program(registry, workbench, CALLER, "single_shot", optimizer, TRAIN, TEST)
        finally:
            workbench.close()

    return lambda optimizer="bootstrap": asyncio.to_thread(compile_and_judge, optimizer)


def state_of(settings, row):
    (stored,) = delta.read_rows(settings, COMPILED_PROGRAMS, [("version", "=", row["version"])])
    return json.loads(stored["state"])["answer"]


def predictor(program, name):
    return dict(PROGRAMS[program]().named_predictors())[name].signature


def hint(labels, signature, **inputs):
    (output,) = signature.output_fields.values()
    (constraint,) = output.metadata
    return HintedAdapter(labels).allowed(constraint, inputs)


def test_the_teacher_may_only_plan_as_many_look_ups_as_there_are_other_gold_documents():
    assert hint(SUM, predictor("multihop", "plan")) == {"choice": ["2"]}


def test_the_teacher_may_only_read_the_gold_answer_where_it_stands():
    read = predictor("multihop", "read")
    assert hint(LENGTH, read, passage="The Warta is 808  km long.") == {"choice": ["808  km"]}
    assert "grammar" in hint(LENGTH, read, passage="The Warta springs in Kromołów.")


def test_the_teacher_reads_any_number_where_the_answer_is_worked_out_from_several():
    read, text = predictor("multihop", "read"), "It has 1 of 12 parts."
    assert hint(SUM, read, passage=text, question=SUM.text) == {"choice": ["1", "12"]}
    assert "grammar" in hint(SUM, read, passage=text, question="Which is the only tributary of the Warta?")


def test_the_teacher_is_not_led_to_an_answer_that_the_question_says_itself():
    question = LabelledQuestion("Which is longer, the Oder or the Warta?", ("Oder",), ("Oder", "Warta"))
    assert "grammar" in hint(question, predictor("team", "describe"), question=question.text)


def test_the_teacher_may_only_conclude_a_sum_that_is_right():
    conclude = predictor("multihop", "conclude")
    assert hint(SUM, conclude, facts=["Warta: 3", "Neisse: 2"]) == {"choice": ["3 - 2"]}
    assert "grammar" in hint(SUM, conclude, facts=["Warta: 8", "Neisse: 5"])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
async def test_what_was_compiled_is_what_then_runs(model, judge, ask, settings, optimizer):
    model.answers(writing)
    row = await judge(optimizer)
    assert (row["live"], row["score_before"], row["score_after"]) == (True, 1.0, 1.0)
    assert row["usd_per_success_before"] == row["usd_per_success_after"] > 0
    assert (row["trained_on"], row["tested_on"], row["model"]) == (4, 1, "SmolLM2-135M-Instruct")

    asked = len(model.asked)
    assert (await ask(program="single_shot")).answer == "red"
    system, *turns = [turn["content"] for turn in model.asked[asked]["messages"]]
    state = state_of(settings, row)
    assert " ".join(state["signature"]["instructions"].split()) == system
    for demonstration in state["demos"]:
        assert f"Passages: {RED.text}\nQuestion: {demonstration['question']}" in turns


@pytest.mark.parametrize("optimizer", ["mipro", "gepa"])
async def test_what_an_optimizer_asks_the_model_itself_is_in_the_records_too(model, judge, spooled, optimizer):
    model.answers(writing)
    await judge(optimizer)
    prompts = ["\n".join(message["content"] for message in body["messages"]) for body in model.asked]
    assert any("instruction" in prompt and RED.text not in prompt.splitlines()[-1] for prompt in prompts)
    chats = [record for record in spooled() if record.operation == "chat"]
    assert len(chats) == len(model.asked)
    assert {record.key_id for record in spooled()} == {CALLER.key_id}


async def test_a_model_that_writes_no_instruction_is_named_with_what_to_do(model, judge):
    model.always_says("red")
    with pytest.raises(
        LakehopError, match=r"'mipro': SmolLM2-135M-Instruct did not write instructions .* larger model"
    ):
        await judge("mipro")


async def test_every_success_of_the_teacher_becomes_a_demonstration(model, judge, settings):
    model.always_says("red")
    demos = state_of(settings, await judge())["demos"]
    assert {demo["question"] for demo in demos} == {question.text for question in TRAIN}
    assert {demo["answer"] for demo in demos} == {"red"}


async def test_addresses_are_left_out_of_demonstrations(model, index, judge, settings):
    index.passages = [passage("Barn", "The barn (see https://example.org/barn?x=1) is red.")]
    model.always_says("red")
    demos = state_of(settings, await judge())["demos"]
    assert {demo["passages"] for demo in demos} == {"The barn (see ) is red."}


async def test_an_answer_that_is_only_right_in_passing_is_no_demonstration(model, judge, settings):
    model.always_says("The barn is red. It has 2 doors.")
    row = await judge()
    assert (row["score_after"], row["live"]) == (1.0, True)
    assert state_of(settings, row)["demos"] == []


GOOD = Score(10, 8, Decimal("0.08"))


@pytest.mark.parametrize(
    ("after", "goes_live"),
    [
        (GOOD, True),
        (Score(10, 8, Decimal("0.07")), True),
        (Score(10, 8, Decimal("0.0801")), False),  # as good, and dearer
        (Score(10, 9, Decimal("0.09")), True),
        (Score(10, 9, Decimal("0.0901")), False),  # better, and each success dearer
        (Score(10, 7, Decimal("0.01")), False),  # cheaper, and worse
        (Score(10, 0, Decimal(0)), False),
    ],
)
async def test_only_what_is_as_good_and_as_cheap_goes_live(model, judge, registry, monkeypatch, after, goes_live):
    model.always_says("red")
    scores = iter([GOOD, after])
    monkeypatch.setattr(Workbench, "score", lambda *_: next(scores))
    row = await judge()
    assert (row["live"], row["why"]) == (goes_live, f"{after}; before, {GOOD}")
    assert (registry.answering(CALLER, "single_shot") is not None) == goes_live


def test_without_any_success_the_cheaper_one_is_no_worse():
    nothing = Score(4, 0, Decimal("0.04"))
    assert nothing.usd_per_success is None
    assert str(nothing) == "0.000 of 4 test questions right at none of them"
    assert Score(4, 0, Decimal("0.03")).is_no_worse_than(nothing)
    assert not nothing.is_no_worse_than(Score(4, 0, Decimal("0.03")))


def test_an_optimizer_is_told_what_a_success_costs():
    worth = Worth.beside(Score(10, 5, Decimal("0.10")))  # two cents a success
    example = example_of(TRAIN[0])

    def worth_of(answer, usd):
        return worth(example, dspy.Prediction(answer=answer, usd=Decimal(usd)))

    assert worth_of("red", "0.01") == pytest.approx(0.5)
    assert worth_of("blue", "0.01") == pytest.approx(-0.5)
    assert sum([worth_of("red", "0.01"), worth_of("blue", "0.01")]) == pytest.approx(0)  # as the current program
    assert Worth.beside(Score(10, 5, Decimal(0)))(example, dspy.Prediction(answer="red", usd=Decimal(0))) == 1


async def test_only_who_may_read_what_it_quotes_is_answered_by_it(model, judge, registry, settings):
    model.always_says("red")
    await judge()
    assert registry.answering(CALLER, "single_shot")
    assert registry.answering(Caller("acme", ("hr",), "wiki", "k"), "single_shot") is None
    assert registry.answering(Caller("acme", (), "wiki", "k"), "single_shot") is None
    assert registry.answering(Caller("other", ("eng",), "wiki", "k"), "single_shot") is None

    may_be_read_by(settings, "hr")
    assert ProgramRegistry(settings).answering(CALLER, "single_shot") is None
    may_be_read_by(settings, "eng")
    assert ProgramRegistry(settings).answering(CALLER, "single_shot")
    delta.delete(settings, CHUNKS, delta.read_rows(settings, CHUNKS))
    assert ProgramRegistry(settings).answering(CALLER, "single_shot") is None


async def test_what_quotes_a_document_that_left_meanwhile_answers_nobody(model, judge, registry, settings):
    model.always_says("red")
    delta.delete(settings, CHUNKS, delta.read_rows(settings, CHUNKS))
    assert (await judge())["live"]
    assert registry.answering(CALLER, "single_shot") is None
    may_be_read_by(settings, "eng")
    assert registry.answering(CALLER, "single_shot") is None


async def test_an_operator_returns_to_a_version_or_to_what_ships(model, judge, registry, ask, index):
    model.always_says("red")
    first = await judge()
    index.passages = [passage("Barn", RED.text + " Its roof is flat.")]
    second = await judge()

    def live():
        return {row["version"] for row in registry.versions("acme") if row["live"]}

    assert first["version"] != second["version"]
    assert live() == {second["version"]}
    registry.use("acme", "single_shot", first["version"])
    assert live() == {first["version"]}
    assert registry.answering(CALLER, "single_shot").version == first["version"]
    registry.use("acme", "single_shot", SHIPPED)
    assert live() == set()
    assert registry.answering(CALLER, "single_shot") is None
    assert {row["version"]: row["why"] for row in registry.versions("acme")} == {
        first["version"]: "replaced by shipped",
        second["version"]: f"replaced by {first['version']}",
    }
    with pytest.raises(InvalidInput, match=f"version 'v9': must be one of shipped, {second['version']}"):
        registry.use("acme", "single_shot", "v9")


async def test_a_version_from_before_a_step_was_there_is_passed_over(model, judge, registry, caplog):
    model.always_says("red")
    await judge()
    compiled = registry.answering(CALLER, "single_shot")
    with caplog.at_level(logging.WARNING):
        assert load_program("multihop", compiled)[1] == UNCOMPILED
    assert "was compiled before it had the step" in caplog.text


async def test_a_model_that_fails_ends_the_compilation_and_leaves_nothing_running(model, judge, monkeypatch, caplog):
    monkeypatch.setattr(
        "tests.agents.compile.test_compiler.TEST", [*TEST, LabelledQuestion("And the other barn?", ("red",), ("Barn",))]
    )
    model.says(Reply(silent=True), Reply(status=500, text="out of memory"))
    with pytest.raises(Unavailable, match="HTTP 500"):
        await judge()
    await asyncio.wait_for(model.hung_up.wait(), 5)
    gc.collect()
    assert "Task was destroyed" not in caplog.text


async def test_compiling_leaves_the_records_of_every_call(model, judge, spooled):
    model.always_says("red")
    await judge()
    assert len([record for record in spooled() if record.operation == "chat"]) == len(model.asked)
    assert {record.key_id for record in spooled()} == {CALLER.key_id}


def test_questions_without_an_answer_are_left_out(tmp_path):
    file = tmp_path / "questions.jsonl"
    lines = [
        '{"question": "a", "answer": 3, "aliases": ["three"], "gold_ids": ["x"]}',
        '{"question": "b"}',
        '{"question": "c", "answer": "d", "answer_aliases": ["e"]}',  # as MuSiQue writes them
    ]
    file.write_text("\n".join(lines))
    assert read_answered(file) == [
        LabelledQuestion("a", ("3", "three"), ("x",)),
        LabelledQuestion("c", ("d", "e"), ()),
    ]


@pytest.mark.parametrize("line", ["{", '{"answer": "no question"}', "[]", "3"])
def test_a_line_that_is_no_question_is_named(tmp_path, line):
    file = tmp_path / "questions.jsonl"
    file.write_text(f'{{"question": "a", "answer": "b"}}\n{line}\n')
    with pytest.raises(InvalidInput, match=r"questions\.jsonl line 2: .*A line is"):
        read_answered(file)


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
