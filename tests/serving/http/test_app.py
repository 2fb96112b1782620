"""Every route and every status of the gateway, in process."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from agents.task.budget import Limits
from lakehouse.access.permissions import Caller
from lakehouse.errors import BudgetExceeded, InvalidInput, NotAllowed, NotFound, Unavailable
from lakehouse.index.search_filters import SearchFilters
from tests.serving.conftest import ANSWER, PASSAGE, USAGE

QUESTION = {"question": "Which licence has Jinja2?"}
PUBLIC = {"/", "/docs", "/openapi.json", "/healthz", "/readyz"}


def problem(response, status, kind):
    """The detail of a problem document, after checks of its other fields."""
    document = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, document["status"]) == (status, status)
    assert document["type"] == f"urn:lakehop:problem:{kind}"
    return document["detail"]


async def test_an_answer_comes_as_the_agents_gave_it(gateway):
    response = await gateway.http.post("/ask", json=QUESTION, headers=gateway.key())

    assert response.status_code == 200
    assert response.json() == ANSWER


async def test_the_caller_comes_from_the_key_and_the_caps_from_the_settings(gateway):
    await gateway.http.post("/ask", json={"question": "  why? ", "user": "u1"}, headers=gateway.key())

    assert gateway.agents.asked == [
        {
            "question": "why?",
            "caller": Caller("acme", ("staff",), "wiki", gateway.key_id(), "u1"),
            "program": "multihop",
            "limits": Limits(max_usd=Decimal("0.1"), max_seconds=120),
            "max_hops": 3,
            "quorum": 1,
            "recall": False,
            "journal": None,
            "task_id": None,
            "filters": None,
            "style": None,
            "history": (),
        }
    ]


async def test_a_question_names_its_own_program_and_caps(gateway):
    body = QUESTION | {"program": "single_shot", "max_usd": 0.015, "max_seconds": 7.5}
    await gateway.http.post("/ask", json=body, headers=gateway.key())

    asked = gateway.agents.asked[0]
    assert (asked["program"], asked["limits"]) == ("single_shot", Limits(max_usd=Decimal("0.015"), max_seconds=7.5))


async def test_search_gives_the_passages(gateway):
    body = QUESTION | {"k": 50, "mode": "lexical"}
    response = await gateway.http.post("/search", json=body, headers=gateway.key())

    set_by_multihop = {"probability": None, "path": [], "covers": []}
    document = response.json()
    assert document.pop("usage") == dict.fromkeys(USAGE, 0) | {"usd": "0.0000000000"}
    told = {"next_page_token": "page2", "took_ms": 3.5, "task_id": "task_2"}
    assert document == {"results": [PASSAGE | set_by_multihop]} | told
    assert (gateway.agents.asked[0]["k"], gateway.agents.asked[0]["mode"]) == (50, "lexical")


FILTERS = {
    "source": ["wiki"], "document_type": [".PDF"], "author": ["Ida"], "path": "hr/", "updated_after": "2026-05-01",
    "updated_before": "2026-06-01T02:00:00+02:00",
}  # fmt: skip


@pytest.mark.parametrize("path", ["/search", "/ask"])
async def test_filters_of_a_body_reach_the_search(gateway, path):
    await gateway.http.post(path, json=QUESTION | {"filters": FILTERS}, headers=gateway.key())
    await gateway.http.post(path, json=QUESTION, headers=gateway.key())

    narrowed, everything = (asked["filters"] for asked in gateway.agents.asked)
    assert narrowed == SearchFilters(
        source=("wiki",),
        document_type=("pdf",),
        author=("Ida",),
        path="hr/",
        updated_after=datetime(2026, 5, 1, tzinfo=UTC),
        updated_before=datetime(2026, 6, 1, tzinfo=UTC),
    )
    assert everything is None


@pytest.mark.parametrize("path", ["/search", "/ask"])
@pytest.mark.parametrize(
    "filters",
    [
        {"source": []},
        {"source": "wiki"},
        {"source": [""]},
        {"author": ["x"] * 101},
        {"path": "x" * 1_025},
        {"path": "a\0"},
        {"updated_after": "yesterday"},
        {"updated_after": "2026-05-02", "updated_before": "2026-05-01"},
        {"group": ["hr"]},
    ],
)
async def test_a_filter_that_means_nothing_is_refused_before_anything_is_read(gateway, path, filters):
    response = await gateway.http.post(path, json=QUESTION | {"filters": filters}, headers=gateway.key())

    assert "filter" in problem(response, 400, "invalid-input")
    assert gateway.agents.asked == []


async def test_a_page_is_asked_for_by_the_token_of_the_one_before(gateway):
    body = QUESTION | {"page_token": "page2", "passages_per_document": 3}
    await gateway.http.post("/search", json=body, headers=gateway.key())

    assert gateway.agents.asked[0].items() >= {"page_token": "page2", "per_document": 3}.items()


async def test_usage_shows_what_the_day_has_cost(gateway):
    key = gateway.key(daily_usd="1")
    await gateway.http.post("/ask", json=QUESTION, headers=key)
    usage = (await gateway.http.get("/usage", headers=key)).json()

    assert usage.pop("day") < usage.pop("resets_at")
    assert usage == {
        "key_id": gateway.key_id(),
        "app": "wiki",
        "tenant": "acme",
        "groups": ["staff"],
        "spent_usd": "0.0200000000",
        "reserved_usd": "0.0000000000",
        "daily_usd": "1.0000000000",
    }


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "question: missing. The question, 1 to 8,000 characters"),
        ({"question": ""}, "question='': String should have at least 1 character. The question, 1 to 8,000"),
        ({"question": " \n\t "}, "question=' \\n\\t ': String should have at least 1 character"),
        ({"question": "x" * 8_001}, "(8,001 characters): String should have at most 8000 characters"),
        ({"question": 7}, "question=7: Input should be a valid string"),
        ({"question": ["x"]}, "question=['x']: Input should be a valid string"),
        (QUESTION | {"max_usd": 0}, "max_usd=0: Input should be greater than 0. Spend cap of this task"),
        (QUESTION | {"max_usd": -1}, "max_usd=-1: Input should be greater than 0"),
        (QUESTION | {"max_usd": "1e-11"}, "max_usd='1e-11': Decimal input should have no more than 10 decimal"),
        (QUESTION | {"max_usd": "NaN"}, "max_usd='NaN': Input should be a finite number"),
        (QUESTION | {"max_usd": "lots"}, "max_usd='lots': Input should be a valid decimal"),
        (QUESTION | {"max_seconds": 0}, "max_seconds=0: Input should be greater than 0. Time cap"),
        (QUESTION | {"max_seconds": 901}, "max_seconds=901: Input should be less than or equal to 900"),
        (
            QUESTION | {"program": "guess"},
            "program='guess': Input should be 'single_shot', 'multihop', 'react' or 'team'",
        ),
        (QUESTION | {"max_dollars": 1}, "max_dollars: not a field. Known: question, tenant"),
        (QUESTION | {"max_usdd": 1}, "max_usdd: not a field. Did you mean max_usd?"),
        (QUESTION | {"groups": "staff"}, "groups='staff': Input should be a valid list"),
        (QUESTION | {"groups": ["staff", 3]}, "groups.1=3: Input should be a valid string"),
        (QUESTION | {"groups": ["a\x00"]}, "group 'a\\x00': control characters are not allowed"),
        ([], "body: Input should be a valid dictionary"),
        (None, "body: Field required. Send one JSON object"),
    ],
)
async def test_a_bad_question_is_told_its_value_and_what_is_allowed(gateway, body, says):
    response = await gateway.http.post("/ask", json=body, headers=gateway.key())

    assert says in problem(response, 400, "invalid-input")
    assert len(response.content) < 2_000
    assert gateway.agents.asked == []


@pytest.mark.parametrize(
    ("field", "says"),
    [
        (
            {"k": 0},
            "k=0: Input should be greater than or equal to 1. How many documents, 1 to 50.",
        ),
        (
            {"k": 51},
            "k=51: Input should be less than or equal to 50. How many documents, 1 to 50.",
        ),
        ({"k": "many"}, "k='many': Input should be a valid integer"),
        ({"mode": "best"}, "mode='best': Input should be 'dense', 'lexical', 'hybrid' or 'multihop'"),
        ({"max_usd": 1}, "max_usd: not a field"),
    ],
)
async def test_a_bad_search_is_told_its_value_and_what_is_allowed(gateway, field, says):
    response = await gateway.http.post("/search", json=QUESTION | field, headers=gateway.key())

    assert says in problem(response, 400, "invalid-input")


@pytest.mark.parametrize(
    "content", [b"{", b"", b"\xff\xfe", b"[" * 50_000, b'{"question": "\\ud800"}', b'{"question": NaN}', b"null"]
)
async def test_a_body_that_is_no_json_is_a_bad_question(gateway, content):
    headers = gateway.key() | {"Content-Type": "application/json"}
    response = await gateway.http.post("/ask", content=content, headers=headers)

    assert problem(response, 400, "invalid-input")


async def test_a_question_in_another_script_arrives_as_it_is(gateway):
    question = "哪个许可证？ ما الترخيص؟ 🙂"
    await gateway.http.post("/ask", json={"question": question}, headers=gateway.key())

    assert gateway.agents.asked[0]["question"] == question


async def test_a_body_over_the_limit_is_refused_unread(gateway):
    response = await gateway.http.post("/ask", json={"question": "x" * 300_000}, headers=gateway.key())

    assert "over 256,000 bytes" in problem(response, 413, "body-too-large")


@pytest.mark.parametrize("header", [{}, {"Authorization": "lh_x"}, {"Authorization": "Basic bGg6eA=="}])
async def test_no_key_is_told_how_to_send_one(gateway, header):
    response = await gateway.http.post("/ask", json=QUESTION, headers=header)

    assert "Authorization: Bearer" in problem(response, 401, "not-authenticated")
    assert response.headers["www-authenticate"] == 'Bearer realm="lakehop"'


async def test_a_revoked_key_opens_nothing(gateway):
    key = gateway.key()
    gateway.ledger.revoke(gateway.key_id())
    response = await gateway.http.post("/ask", json=QUESTION, headers=key)

    assert "unknown or revoked" in problem(response, 401, "not-authenticated")


async def test_every_route_but_the_public_ones_needs_a_key(gateway):
    document = gateway.api.openapi()
    closed = [(method, path) for path, methods in document["paths"].items() for method in methods]
    closed = [(method, path) for method, path in closed if path not in PUBLIC]

    assert {path for _, path in closed} == {
        "/ask",
        "/ask/stream",
        "/tasks",
        "/tasks/{task_id}",
        "/tasks/{task_id}/cancel",
        "/search",
        "/passages/{chunk_id}",
        "/judge",
        "/usage",
        "/memory",
        "/memory/{memory_id}",
        "/metrics",
    }
    for method, path in closed:
        response = await gateway.http.request(method, path, json=QUESTION)
        assert problem(response, 401, "not-authenticated")


async def test_a_key_may_narrow_its_groups_and_not_widen_them(gateway):
    key = gateway.key(groups=("hr", "staff"))
    narrowed = await gateway.http.post("/search", json=QUESTION | {"groups": ["staff"]}, headers=key)
    widened = await gateway.http.post("/search", json=QUESTION | {"groups": ["staff", "board"]}, headers=key)

    assert narrowed.status_code == 200
    assert "group 'board': not one of this key's groups ['hr', 'staff']" in problem(widened, 403, "not-allowed")
    assert [asked["caller"].groups for asked in gateway.agents.asked] == [("staff",)]


@pytest.mark.parametrize("path", ["/ask", "/ask/stream", "/search"])
async def test_a_key_cannot_ask_for_another_tenant(gateway, path):
    response = await gateway.http.post(path, json=QUESTION | {"tenant": "other"}, headers=gateway.key())

    assert "tenant 'other': this key is of 'acme'" in problem(response, 403, "not-allowed")
    assert gateway.agents.asked == []


async def test_an_operator_asks_for_any_tenant_and_has_no_groups_unless_named(gateway):
    key = gateway.key(tenant="ops", groups=("root",), operator=True)
    for body in ({"tenant": "acme"}, {"tenant": "acme", "groups": [" hr", "a' or 1"]}, {}):
        await gateway.http.post("/search", json=QUESTION | body, headers=key)

    callers = [(asked["caller"].tenant_id, asked["caller"].groups) for asked in gateway.agents.asked]
    assert callers == [("acme", ()), ("acme", ("a' or 1", "hr")), ("ops", ("root",))]


async def test_a_bad_tenant_of_an_operator_is_refused(gateway):
    response = await gateway.http.post(
        "/search", json=QUESTION | {"tenant": 'x" or 1'}, headers=gateway.key(operator=True)
    )

    assert "tenant 'x\" or 1'" in problem(response, 400, "invalid-input")


@pytest.mark.parametrize(
    ("error", "status", "kind", "headers"),
    [
        (InvalidInput("bad"), 400, "invalid-input", {}),
        (NotAllowed("no"), 403, "not-allowed", {}),
        (NotFound("tenant 'x': unknown."), 404, "not-found", {}),
        (Unavailable("milvus", "milvus does not answer."), 503, "unavailable", {"retry-after": "10"}),
    ],
)
@pytest.mark.parametrize("path", ["/ask", "/search", "/ask/stream"])
async def test_an_error_of_the_agents_has_its_status(gateway, path, error, status, kind, headers):
    gateway.agents.error, gateway.agents.events = error, []
    response = await gateway.http.post(path, json=QUESTION, headers=gateway.key())

    assert problem(response, status, kind) == str(error)
    assert headers.items() <= dict(response.headers).items()


async def test_a_part_that_is_down_is_named(gateway):
    gateway.agents.error = Unavailable("vllm", "the model endpoint does not answer.")
    response = await gateway.http.post("/ask", json=QUESTION, headers=gateway.key())

    assert response.json()["part"] == "vllm"


@pytest.mark.parametrize("path", ["/ask", "/search"])
async def test_an_unknown_error_shows_an_id_and_hides_its_cause(gateway, path, caplog):
    gateway.agents.error = RuntimeError("password=hunter2")
    response = await gateway.http.post(path, json=QUESTION, headers=gateway.key())

    assert "hunter2" not in response.text
    problem_id = response.json()["id"]
    assert problem_id in problem(response, 500, "internal-error")
    logged = [record for record in caplog.records if problem_id in record.getMessage()]
    assert [record.exc_info[1] for record in logged] == [gateway.agents.error]


@pytest.mark.parametrize("program", ["single_shot", "multihop", "react", "team"])
async def test_every_program_can_be_asked(gateway, program):
    response = await gateway.http.post("/ask", json=QUESTION | {"program": program}, headers=gateway.key())

    assert response.status_code == 200
    assert gateway.agents.asked[0]["program"] == program


async def test_an_unknown_path_and_a_wrong_method_are_problems_too(gateway):
    assert "no such route" in problem(await gateway.http.get("/nowhere"), 404, "not-found")
    assert "this method" in problem(await gateway.http.get("/ask"), 405, "method-not-allowed")


async def test_a_spent_day_is_402_until_the_next(gateway):
    key = gateway.key(daily_usd="0.021")
    await gateway.http.post("/ask", json=QUESTION, headers=key)
    response = await gateway.http.post("/ask", json=QUESTION, headers=key)

    assert "daily cap of key_" in problem(response, 402, "budget-exceeded")
    assert 0 < int(response.headers["retry-after"]) <= 24 * 3600
    assert len(gateway.agents.asked) == 1


async def test_a_task_without_a_cap_gets_what_is_left_of_the_day(gateway):
    await gateway.http.post("/ask", json=QUESTION, headers=gateway.key(daily_usd="0.05"))

    assert gateway.agents.asked[0]["limits"].max_usd == Decimal("0.05")


async def test_a_task_that_names_its_cap_gets_it_or_402(gateway):
    key = gateway.key(daily_usd="0.05")
    response = await gateway.http.post("/ask", json=QUESTION | {"max_usd": "0.06"}, headers=key)

    assert "Ask with max_usd of at most 0.05" in problem(response, 402, "budget-exceeded")


@pytest.mark.parametrize("error", [Unavailable("vllm", "gone"), RuntimeError("bug"), BudgetExceeded("over")])
async def test_a_failed_task_is_charged_what_it_had_spent(gateway, error):
    key = gateway.key(daily_usd="1")
    gateway.agents.error = error
    await gateway.http.post("/ask", json=QUESTION, headers=key)

    spend = gateway.ledger.today(gateway.key_id())
    assert (spend.spent_usd, spend.reserved_usd) == (Decimal("0.02"), Decimal(0))


async def test_health_and_readiness_need_no_key(gateway):
    health, ready = await gateway.http.get("/healthz"), await gateway.http.get("/readyz")

    assert (health.status_code, ready.status_code) == (200, 200)


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/", "/docs", "/openapi.json", "/console/console.css", "/usage"]
)
async def test_head_gives_what_get_gives_without_a_body(gateway, path):
    got, head = await gateway.http.get(path), await gateway.http.head(path)

    assert (head.status_code, head.headers["content-type"]) == (got.status_code, got.headers["content-type"])
    assert (head.content, head.headers["content-length"]) == (b"", str(len(got.content)))


async def test_head_of_readiness_is_503_when_a_part_is_down_and_head_of_a_post_is_no_method(gateway):
    gateway.parts.down.add("milvus")

    assert [(await gateway.http.head(path)).status_code for path in ("/readyz", "/search")] == [503, 405]


@pytest.mark.parametrize("down", [{"milvus"}, {"vllm"}, {"milvus", "vllm"}])
async def test_readiness_names_what_is_down(gateway, down):
    gateway.parts.down = down
    response = await gateway.http.get("/readyz")

    detail = problem(response, 503, "unavailable")
    assert set(response.json()["part"].split(",")) == down
    assert all(f"{part}: does not answer" in detail for part in down)
    assert (await gateway.http.get("/healthz")).status_code == 200


async def test_metrics_count_tasks_money_and_calls_for_operators_alone(gateway):
    await gateway.http.post("/ask", json=QUESTION, headers=gateway.key())
    await gateway.http.get("/nowhere")
    refused = await gateway.http.get("/metrics", headers=gateway.key())
    page = (await gateway.http.get("/metrics", headers=gateway.key(operator=True))).text

    assert problem(refused, 403, "not-allowed")
    for line in (
        'lakehop_tasks_total{program="multihop",status="answered"} 1.0',
        'lakehop_task_usd_total{program="multihop"} 0.02',
        'lakehop_model_calls_total{program="multihop"} 2.0',
        'lakehop_task_seconds_count{program="multihop"} 1.0',
        'lakehop_http_request_seconds_count{method="POST",route="/ask",status="200"} 1.0',
        'lakehop_http_request_seconds_count{method="other",route="other",status="404"} 1.0',
    ):
        assert line in page.splitlines()
    assert "acme" not in page


async def test_the_openapi_document_names_every_field_and_problem(gateway):
    document = (await gateway.http.get("/openapi.json")).json()

    ask = document["paths"]["/ask"]["post"]
    assert ask["security"] == [{"HTTPBearer": []}]
    assert sorted(ask["responses"]) == ["200", "400", "401", "402", "403", "404", "409", "500", "501", "503", "default"]
    assert "HTTPValidationError" not in json.dumps(document)
    assert set(document["components"]["schemas"]["AskBody"]["properties"]) == {
        "question",
        "tenant",
        "groups",
        "user",
        "program",
        "max_usd",
        "max_seconds",
        "quorum",
        "remember",
        "memory",
        "filters",
        "style",
        "history",
    }
