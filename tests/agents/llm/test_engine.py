"""The door to the model: requests, replies, and a record of every attempt."""

import asyncio
import time
from decimal import Decimal

import pytest
from dspy.lm15 import Config, Message, Request

from agents.answer import PassageRef
from agents.llm.engine import ATTEMPTS, CHARACTERS_A_TOKEN, MAX_LINE_BYTES, MAX_OUTPUT_TOKENS
from agents.llm.token_counts import PROMPT_OVERHEAD_BYTES, TokenCounter
from agents.task.budget import BudgetReached
from agents.task.purpose import CallPurpose, call_purpose
from lakehouse.errors import Unavailable
from lakehouse.index.embedding import BUNDLED_MODEL, model_folder
from tests.agents.conftest import BROKEN, SAVED_USD, SILENT, TOKENS, USD, Reply, event, piece

READING = CallPurpose("read", 2, (PassageRef(doc_id="Flask", chunk_id="Flask#0", title="Flask"),))
GRAMMAR = {"grammar": 'root ::= "BSD"'}


def request(text="Which license has Flask?", max_tokens=40, **extensions) -> Request:
    config = Config(max_tokens=max_tokens, extensions=extensions)
    return Request(model="SmolLM2-135M-Instruct", system="Be short.", messages=(Message.user(text),), config=config)


# ---- a good answer ------------------------------------------------------------------------------------------


async def test_an_answer_comes_with_its_tokens_and_leaves_a_record(model, engine_of, new_task, spooled):
    model.says("BSD 3 Clause")
    task = new_task()
    call_purpose.set(READING)

    response = await engine_of(task).complete(request())

    assert (response.message.text, response.usage.input_tokens, response.usage.output_tokens) == (
        "BSD 3 Clause",
        1000,
        10,
    )
    [record] = spooled()
    written = {
        name: getattr(record, name) for name in ("operation", "agent", "hop", "model", "attempt", "outcome", "error")
    }
    assert written == {
        "operation": "chat",
        "agent": "read",
        "hop": 2,
        "model": "SmolLM2-135M-Instruct",
        "attempt": 1,
        "outcome": "ok",
        "error": None,
    }
    assert {name: getattr(record, name) for name in TOKENS} == TOKENS
    assert (record.usd, record.saved_usd, record.price_from) == (USD, SAVED_USD, "2026-01-01")
    assert record.latency_ms > 0
    assert (task.usage.usd, task.budget.spent_usd) == (USD, USD)


async def test_the_endpoint_is_asked_for_what_it_knows_only(model, engine_of, new_task):
    model.says("a", "b")

    for dialect in ("vllm", "openai"):
        await engine_of(new_task(), llm_dialect=dialect).complete(request(structured_outputs=GRAMMAR))

    openai = {
        "model": "SmolLM2-135M-Instruct",
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "Which license has Flask?"},
        ],
        "max_tokens": 40,
        "temperature": 0.0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    streamed = {"include_usage": True, "continuous_usage_stats": True}
    assert model.asked == [openai | {"stream_options": streamed, "structured_outputs": GRAMMAR}, openai]


async def test_a_call_that_states_no_limit_has_one(model, engine_of, new_task):
    model.says("a")

    await engine_of(new_task()).complete(request(max_tokens=None))

    assert model.asked[0]["max_tokens"] == MAX_OUTPUT_TOKENS


async def test_the_key_is_sent_when_there_is_one(model, engine_of, new_task, settings):
    model.says("a", "b")
    secret = type(settings.llm_api_key)("sk-1")

    await engine_of(new_task()).complete(request())
    await engine_of(new_task(), llm_api_key=secret).complete(request())

    assert ["authorization: bearer sk-1" in head.lower() for head in model.headers] == [False, True]


async def test_an_empty_answer_is_a_blank(model, engine_of, new_task, spooled):
    model.says(Reply(text="", output_tokens=0))

    response = await engine_of(new_task()).complete(request())

    assert response.message.text == " "
    assert spooled()[0].outcome == "ok"


# ---- a server that is not there, or breaks off ---------------------------------------------------------------


async def test_a_server_that_is_down_is_unavailable_and_both_attempts_are_recorded(
    engine_of, new_task, spooled, free_port
):
    url = f"http://127.0.0.1:{free_port()}/v1"
    began = time.monotonic()

    with pytest.raises(Unavailable, match=f"the model server at '{url}' did not answer: ConnectError") as caught:
        await engine_of(new_task(), llm_base_url=url, llm_timeout_s=2).complete(request())

    assert caught.value.part == "vllm"
    assert time.monotonic() - began < 2
    assert [(record.attempt, record.outcome, record.usd) for record in spooled()] == [(1, "error", 0), (2, "error", 0)]
    assert all("ConnectError" in record.error for record in spooled())


async def test_a_broken_connection_is_tried_once_more(model, engine_of, new_task, spooled):
    model.says(BROKEN, "BSD")

    response = await engine_of(new_task()).complete(request())

    assert response.message.text == "BSD"
    assert [(record.attempt, record.outcome, record.usd) for record in spooled()] == [(1, "error", 0), (2, "ok", USD)]


async def test_a_connection_that_breaks_twice_is_unavailable(model, engine_of, new_task, spooled):
    model.always_says(BROKEN)

    with pytest.raises(Unavailable, match="did not answer: RemoteProtocolError"):
        await engine_of(new_task()).complete(request())

    assert len(model.asked) == ATTEMPTS
    assert [record.attempt for record in spooled()] == [1, 2]


async def test_what_an_answer_that_broke_off_had_cost_is_counted(model, engine_of, new_task, spooled):
    model.says(Reply("half of the", breaks=True), "BSD")
    task = new_task()

    response = await engine_of(task).complete(request())

    broken, whole = spooled()
    assert response.message.text == "BSD"
    assert (broken.input_tokens, broken.output_tokens, broken.usd) == (1000, 1, Decimal("0.0000377400"))
    assert task.usage.usd == broken.usd + whole.usd
    assert (task.usage.calls, task.budget.calls) == (2, 2)


async def test_a_server_that_says_nothing_is_unavailable_in_time(model, engine_of, new_task, spooled):
    model.says(SILENT)
    began = time.monotonic()

    with pytest.raises(Unavailable, match=r"did not answer: no end within 0\.3 s") as caught:
        await engine_of(new_task(), llm_timeout_s=0.3).complete(request())

    assert caught.value.part == "vllm"
    assert time.monotonic() - began < 2
    [record] = spooled()
    assert (record.attempt, record.outcome) == (1, "error")
    assert "did not answer: no end within 0.3 s" in record.error


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
async def test_a_server_that_refuses_is_not_asked_twice(model, engine_of, new_task, spooled, status):
    model.says(Reply("no such model", status=status))

    with pytest.raises(Unavailable, match=f"HTTP {status}: .*no such model"):
        await engine_of(new_task()).complete(request())

    assert len(model.asked) == 1
    assert [(record.attempt, record.outcome, record.usd) for record in spooled()] == [(1, "error", 0)]


async def test_the_tasks_time_ends_a_call_before_the_calls_own(model, engine_of, new_task, spooled):
    model.says(Reply("a b", endless=b": still here\n\n"))

    with pytest.raises(BudgetReached, match="max_seconds was used up while the model wrote"):
        await engine_of(new_task(max_seconds=2)).complete(request())

    assert [(record.outcome, record.output_tokens) for record in spooled()] == [("error", 1)]


async def test_a_call_that_the_budget_refuses_is_not_made_and_not_recorded(model, engine_of, new_task, spooled):
    with pytest.raises(BudgetReached, match=r"max_usd=0\.00001"):
        await engine_of(new_task(max_usd=Decimal("0.00001"))).complete(request())

    assert (model.asked, spooled()) == ([], [])


async def test_the_retry_is_asked_of_the_budget_too(model, engine_of, new_task):
    model.says(Reply("half", breaks=True, input_tokens=100_000))

    with pytest.raises(BudgetReached):
        await engine_of(new_task(max_usd=Decimal("0.001"))).complete(request())

    assert len(model.asked) == 1


# ---- a server that sends nonsense ----------------------------------------------------------------------------


async def test_an_answer_without_end_is_cut_off_and_the_server_let_go(model, engine_of, new_task, spooled):
    word = "x" * 50
    model.says(Reply("", endless=event(choices=[piece(word)], usage={"prompt_tokens": 5, "completion_tokens": 9})))

    response = await engine_of(new_task()).complete(request(max_tokens=4))

    assert 4 * CHARACTERS_A_TOKEN < len(response.message.text) <= 4 * CHARACTERS_A_TOKEN + 50
    assert [(record.input_tokens, record.output_tokens, record.outcome) for record in spooled()] == [(5, 9, "ok")]
    await asyncio.wait_for(model.hung_up.wait(), 5)


@pytest.mark.parametrize("endless", [b": still here\n\n", b"data: {}\n\n", event(choices=[piece("")]), b"\n"])
async def test_a_stream_that_never_says_anything_ends_in_time(model, engine_of, new_task, spooled, endless):
    model.says(Reply("", endless=endless))
    began = time.monotonic()

    with pytest.raises(Unavailable, match="no end within"):
        await engine_of(new_task(), llm_timeout_s=0.3).complete(request())

    assert time.monotonic() - began < 3
    assert len(spooled()) == 1


async def test_a_line_without_end_is_given_up(model, engine_of, new_task, spooled):
    model.says(Reply("", endless=b"x" * 100_000))

    with pytest.raises(Unavailable, match=f"a line of over {MAX_LINE_BYTES} bytes"):
        await engine_of(new_task()).complete(request())

    assert len(spooled()) == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"data: {not json}\n\n",
        b"data: \xff\xfe\n\n",
        b"data: [1]\n\n",
        b"data: null\n\n",
        b'data: {"error": {"message": "out of memory"}}\n\n',
        event(choices="BSD"),
        event(choices={"delta": {"content": "BSD"}}),
        event(choices=[None]),
        event(choices=["BSD"]),
        event(choices=[{"delta": "BSD"}]),
        event(choices=[{"delta": {"content": 5}}]),
        event(choices=[{"delta": {"content": ["BSD"]}}]),
        event(choices=[piece("BSD")], usage={"prompt_tokens": "many"}),
        event(choices=[piece("BSD")], usage={"prompt_tokens": [1]}),
        event(choices=[piece("BSD")], usage={"prompt_tokens": 5, "prompt_tokens_details": [1]}),
        b'data: {"usage": {"prompt_tokens": 1e999}}\n\n',
    ],
)
async def test_what_is_no_answer_is_unavailable_and_recorded(model, engine_of, new_task, spooled, raw):
    model.says(Reply(raw=raw))

    with pytest.raises(Unavailable, match="in place of an answer") as caught:
        await engine_of(new_task()).complete(request())

    assert caught.value.part == "vllm"
    assert len(str(caught.value)) < 500
    assert [(record.attempt, record.outcome) for record in spooled()] == [(1, "error")]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n\n\n",
        b"<html>BSD</html>",
        b"data: {}\n\n",
        event(choices=None),
        event(choices=[{}]),
        b"data: [DONE]\n\n",
    ],
)
async def test_a_stream_without_words_is_an_empty_answer(model, engine_of, new_task, spooled, raw):
    model.says(Reply(raw=raw))

    response = await engine_of(new_task()).complete(request())

    assert response.message.text == " "
    assert [(record.outcome, record.usd > 0, record.output_tokens) for record in spooled()] == [("ok", True, 0)]


# ---- a server that tells no usage ----------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["vllm", "openai"])
async def test_a_stream_without_usage_is_counted_by_us_and_never_free(model, engine_of, new_task, spooled, dialect):
    model.says(Reply(raw=event(choices=[piece("BSD 3")]) + event(choices=[piece(" é")]) + b"data: [DONE]\n\n"))
    task = new_task()

    await engine_of(task, llm_dialect=dialect).complete(request(text="Why?"))

    [record] = spooled()
    bytes_of_prompt = len("Be short.") + len("Why?") + 2 * PROMPT_OVERHEAD_BYTES
    counted = (record.input_tokens, record.output_tokens, record.usage_source)
    assert counted == (bytes_of_prompt, len("BSD 3 é".encode()), "estimated")
    assert task.steps[-1].usage_source == "estimated"
    assert 0 < record.usd == task.budget.spent_usd


async def test_a_stream_that_breaks_off_before_its_usage_is_counted_by_us(model, engine_of, new_task, spooled):
    model.says(Reply(raw=event(choices=[piece("half of")]), breaks=True), "BSD")

    await engine_of(new_task(), llm_dialect="openai").complete(request())

    broken, whole = spooled()
    assert (broken.usage_source, broken.output_tokens, whole.usage_source) == ("estimated", len("half of"), "server")
    assert broken.usd > 0


async def test_an_estimate_stays_within_the_limit_that_the_budget_held(model, engine_of, new_task, spooled):
    model.says(Reply(raw=event(choices=[piece("x" * 100)])))

    await engine_of(new_task()).complete(request(max_tokens=40))

    assert spooled()[0].output_tokens == 40


def test_a_model_that_is_a_folder_with_a_tokenizer_is_counted_by_it():
    counter = TokenCounter(str(model_folder(BUNDLED_MODEL)))

    assert (counter.source, counter.of_output("BSD license", 2, 40)) == ("counted", 3)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -5, "completion_tokens": -1},
        {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": -3}},
        {"prompt_tokens": 5, "prompt_tokens_details": {"cached_tokens": 9}},
        {"prompt_tokens": None, "completion_tokens": None, "prompt_tokens_details": None},
    ],
)
async def test_a_count_that_cannot_be_loses_no_record(model, engine_of, new_task, spooled, usage):
    model.says(Reply(raw=event(choices=[piece("BSD")], usage=usage)))

    response = await engine_of(new_task()).complete(request())

    assert response.message.text == "BSD"
    [record] = spooled()
    assert 0 <= record.cached_tokens <= record.input_tokens
    assert record.usd >= 0


async def test_words_may_be_cut_anywhere_between_packets(model, engine_of, new_task):
    whole = event(choices=[piece("许可证 BSD")]) + event(choices=[piece(" é")])
    model.says(Reply(text="", endless=None, raw=whole.replace(b"\n", b"\r\n")))

    response = await engine_of(new_task()).complete(request())

    assert response.message.text == "许可证 BSD é"


async def test_counts_at_the_end_replace_those_on_the_way(model, engine_of, new_task, spooled):
    details = {"cached_tokens": 3}
    first = event(choices=[piece("BSD")], usage={"prompt_tokens": 5, "prompt_tokens_details": details})
    last = event(choices=[], usage={"prompt_tokens": 5, "completion_tokens": 7})
    model.says(Reply(raw=first + last))

    await engine_of(new_task()).complete(request())

    [record] = spooled()
    assert (record.input_tokens, record.cached_tokens, record.output_tokens) == (5, 3, 7)
