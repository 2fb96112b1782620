"""The arithmetic of `agent_overhead`, and the answers of its model."""

import json

import pytest

from tests.benchmarks.agent_model import answer, pieces, reply
from tests.benchmarks.agent_overhead import Round, median_and_range


def test_a_step_is_the_wall_time_less_model_tool_and_bare_calls() -> None:
    bare = Round(wall=0.020, cpu=0.010, model=0.010, tool=0.0, calls=10)  # 1 ms a call outside the model
    ours = Round(wall=0.065, cpu=0.035, model=0.010, tool=0.010, calls=10)

    assert ours.with_client_ms() == pytest.approx(45 / 15)
    assert ours.own_ms(bare) == pytest.approx((45 - 10) / 15)
    assert ours.cpu_ms(bare) == pytest.approx((35 - 10 - 10) / 15)
    assert bare.own_ms(bare) == bare.cpu_ms(bare) == pytest.approx(0)
    assert median_and_range([3, 1.25, 2]) == "2.00 (1.25 to 3.00)"


def asked(text: str, **more: object) -> dict[str, object]:
    return {"model": "scripted-2", "messages": [{"role": "user", "content": text}]} | more


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("Notes: search said: x\nTools: …\nQuestion: ?", "calculate"),
        ("Notes: calculate said: 1; calculate said: 2\nTools: …\nQuestion: ?", "answer"),
        ("Notes: calculate said: 1\nTakes: {}\nTool: calculate\nQuestion: ?", '{"expression": "1 + 1"}'),
        ("Passages: 2\n\n1\nQuestion: ?", "2"),
    ],
)
def test_the_model_knows_from_the_prompt_what_comes_next(prompt: str, said: str) -> None:
    assert reply(asked(prompt))["content"] == said


def test_a_stream_says_the_same_as_a_whole_answer() -> None:
    body = asked("How much?", tools=[{}])
    (call,) = reply(body)["tool_calls"]
    first, *rest = [delta["tool_calls"][0]["function"] for delta in pieces(reply(body))]

    assert call["function"] == {"name": "calculate", "arguments": '{"expression": "0 + 1"}'}
    assert first | {"arguments": "".join(delta["arguments"] for delta in rest)} == call["function"]
    assert json.loads(answer(body)[1])["choices"][0]["message"] == reply(body)
