"""The prompt: instructions, the examples most like the question, and no more than the model can hold."""

from typing import Annotated

import dspy
import pytest

from agents.llm.engine import NoSyncEngine
from agents.programs import PROGRAMS
from agents.prompting.adapter import FIELD_CHARACTERS, MAX_EXAMPLES, ShortAdapter
from agents.prompting.constraints import SpanOf
from agents.prompting.demonstrations import EXAMPLES
from lakehouse.errors import Unavailable
from tests.agents.conftest import Reply

TOO_LONG = Reply("This model's maximum context length is 4096 tokens. Please reduce the prompt.", status=400)


class ReadColour(dspy.Signature):
    """Copy the colour
    from the passage."""

    passage: str = dspy.InputField()
    question: str = dspy.InputField()
    colour: Annotated[str, SpanOf("passage")] = dspy.OutputField()


def demo(question, colour):
    return {"passage": f"It is {colour}.", "question": question, "colour": colour}


@pytest.fixture
def read(new_task, engine_of):
    """Reads a colour as an agent, with demonstrations."""

    async def read(passage="The barn is red.", question="Which colour has the barn?", demos=(), agent="colour"):
        lm = dspy.LM("tiny", engine=NoSyncEngine(), async_engine=engine_of(new_task()), cache=False, num_retries=0)
        predictor = dspy.Predict(ReadColour, agent=agent)
        predictor.demos = list(demos)
        with dspy.context(lm=lm, adapter=ShortAdapter(), trace=None, disable_history=True):
            return (await predictor.acall(passage=passage, question=question)).colour

    return read


async def test_a_demonstration_is_a_pair_of_turns_and_the_question_comes_last(model, read):
    model.says("red")
    assert await read(demos=[demo("Which colour has the sky?", "blue")]) == "red"
    assert model.asked[0]["messages"] == [
        {"role": "system", "content": "Copy the colour from the passage."},
        {"role": "user", "content": "Passage: It is blue.\nQuestion: Which colour has the sky?"},
        {"role": "assistant", "content": "blue"},
        {"role": "user", "content": "Passage: The barn is red.\nQuestion: Which colour has the barn?"},
    ]


async def test_the_examples_likest_to_the_question_are_shown_the_likest_last(model, read):
    model.says("red")
    others = [demo(f"Who painted number {n}?", "blue") for n in range(9)]
    await read(demos=[demo("Which colour has the barn door?", "green"), *others])
    said = [turn["content"] for turn in model.asked[0]["messages"] if turn["role"] == "assistant"]
    assert said == ["blue"] * (MAX_EXAMPLES - 1) + ["green"]


async def test_a_demonstration_that_lacks_a_field_is_not_shown(model, read):
    model.says("red")
    await read(demos=[{"question": "Which colour?", "colour": "blue"}])
    assert len(model.asked[0]["messages"]) == 2


async def test_a_predictor_without_demonstrations_shows_the_built_in_ones(model, read, monkeypatch):
    monkeypatch.setitem(EXAMPLES, "colour", [demo("Which colour has snow?", "white")])
    model.says("red")
    await read()
    assert [turn["content"] for turn in model.asked[0]["messages"] if turn["role"] == "assistant"] == ["white"]


@pytest.mark.parametrize("program", sorted(PROGRAMS))
def test_every_predictor_has_built_in_examples_that_fit_it(program):
    for predictor in PROGRAMS[program]().predictors():
        name = predictor.config["agent"]
        assert all(set(example) == set(predictor.signature.fields) for example in EXAMPLES[name])
        (output,) = predictor.signature.output_fields.values()
        (constraint,) = output.metadata
        (field,) = predictor.signature.output_fields
        said = [example[field] for example in EXAMPLES[name]]
        assert [constraint.snap(str(example[field]), example) for example in EXAMPLES[name]] == said


async def test_a_prompt_that_the_model_cannot_hold_is_shortened(model, read, spooled):
    model.says(TOO_LONG, "red")
    assert await read(passage="red " * 2_000) == "red"
    lengths = [len(asked["messages"][-1]["content"]) for asked in model.asked]
    assert lengths[0] - lengths[1] == FIELD_CHARACTERS[0] - FIELD_CHARACTERS[1]
    assert [(record.outcome, record.usd > 0) for record in spooled()] == [("error", False), ("ok", True)]


async def test_a_model_that_can_hold_nothing_is_an_error_that_says_so(model, read):
    model.always_says(TOO_LONG)
    with pytest.raises(dspy.utils.exceptions.ContextWindowExceededError, match="maximum context length"):
        await read()
    assert len(model.asked) == len(FIELD_CHARACTERS)


async def test_another_refusal_is_not_tried_shorter(model, read):
    model.always_says(Reply("no such model", status=400))
    with pytest.raises(Exception, match="no such model") as caught:
        await read()
    assert isinstance(caught.value.__cause__, Unavailable)
    assert len(model.asked) == 1


async def test_a_signature_with_two_outputs_is_refused(new_task, engine_of):
    lm = dspy.LM("tiny", engine=NoSyncEngine(), async_engine=engine_of(new_task()), cache=False)
    with (
        dspy.context(lm=lm, adapter=ShortAdapter(), trace=None),
        pytest.raises(TypeError, match="2 output fields; ShortAdapter takes exactly one"),
    ):
        await dspy.Predict("question -> answer, reason").acall(question="Why?")
