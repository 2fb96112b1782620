"""GET /passages: a cited passage in its document, under the caller's rights, which fail closed."""

from urllib.parse import quote

import pytest

from lakehouse.access.permissions import acl_key
from lakehouse.storage import delta
from lakehouse.tables import ACL_KEYS, CHUNKS
from tests.lakehouse.retrieval.test_whole_documents import chunk
from tests.serving.http.test_app import problem

ODD_ID = "wiki/a b#c?d%2F'é"


@pytest.fixture(autouse=True)
def documents(gateway):
    """`guide` of four chunks that staff may read, `pay` of hr, `open` of everybody, `guide` of another tenant."""
    settings = gateway.services.settings
    keys = [{"tenant_id": "acme", "acl_key": acl_key([name]), "acl_groups": [name]} for name in ("staff", "hr")]
    delta.upsert(settings, ACL_KEYS, [*keys, keys[0] | {"tenant_id": "other"}])
    rows = [chunk("acme", "guide", number, "staff") for number in range(4)]
    rows += [chunk("acme", "pay", 0, "hr"), chunk("other", "foreign", 0, "staff")]
    rows.append(chunk("acme", "open", 0, "hr") | {"acl_groups": [], "acl_key": acl_key([])})
    rows.append(chunk("acme", "odd", 0, "staff") | {"chunk_id": ODD_ID})
    delta.upsert(settings, CHUNKS, rows)


@pytest.fixture
def get(gateway):
    async def get(chunk_id, key, **query):
        return await gateway.http.get(f"/passages/{quote(chunk_id, safe='')}", params=query, headers=key)

    return get


async def test_a_passage_comes_with_its_place_and_the_text_around_it(gateway, get):
    response = await get("guide-1", gateway.key())

    def neighbour(number):
        chunk_id = f"guide-{number - 1}"
        return {
            "chunk_id": chunk_id,
            "number": number,
            "heading": "Guide › Install",
            "text": f"guide part {number - 1}",
        }

    assert response.status_code == 200
    assert response.json() == {
        "chunk_id": "guide-1",
        "doc_id": "guide",
        "title": "guide",
        "heading": "Guide › Install",
        "text": "guide part 1",
        "uri": "x",
        "source": "x",
        "document_type": None,
        "author": None,
        "updated_at": None,
        "number": 2,
        "chunks": 4,
        "before": [neighbour(1)],
        "after": [neighbour(3)],
    }


@pytest.mark.parametrize(
    ("chunk_id", "around", "before", "after"),
    [("guide-0", 1, [], [2]), ("guide-3", 10, [1, 2, 3], []), ("guide-1", 0, [], []), ("pay-0", 1, [], [])],
)
async def test_neighbours_are_bounded_and_of_the_same_document(gateway, get, chunk_id, around, before, after):
    passage = (await get(chunk_id, gateway.key(groups=("staff", "hr")), around=around)).json()

    assert [one["number"] for one in passage["before"]] == before
    assert [one["number"] for one in passage["after"]] == after


async def test_a_neighbour_that_the_caller_may_not_read_is_left_out_and_not_counted(gateway, get):
    hidden = chunk("acme", "guide", 2, "hr")
    delta.upsert(gateway.services.settings, CHUNKS, [hidden])

    passage = (await get("guide-1", gateway.key())).json()

    assert (passage["after"], passage["chunks"]) == ([], 3)


@pytest.mark.parametrize("chunk_id", ["pay-0", "foreign-0", "", "x' OR '1'='1", "a\0b", "é" * 600])
async def test_a_passage_of_others_is_the_same_404_as_one_that_does_not_exist(gateway, get, chunk_id):
    hidden, unknown = [await get(one, gateway.key()) for one in (chunk_id, "no-such-one")]

    says = problem(unknown, 404, "not-found").replace("'no-such-one'", repr(chunk_id[:80]))
    assert problem(hidden, 404, "not-found") == says


async def test_a_key_reads_what_its_groups_may_and_a_narrowed_one_less(gateway, get):
    key = gateway.key(groups=("staff", "hr"))

    async def status(chunk_id, **query):
        return (await get(chunk_id, key, **query)).status_code

    assert [await status("pay-0"), await status("pay-0", groups=["hr"])] == [200, 200]
    assert [await status("pay-0", groups=["staff"]), await status("open-0", groups=["staff"])] == [404, 200]
    assert problem(await get("pay-0", key, groups=["board"]), 403, "not-allowed")
    assert problem(await get("foreign-0", key, tenant="other"), 403, "not-allowed")


async def test_an_operator_names_tenant_and_groups(gateway, get):
    key = gateway.key(tenant="ops", operator=True)

    async def status(**query):
        return (await get("pay-0", key, **query)).status_code

    assert await status(tenant="acme", groups=["hr", "x"]) == 200
    assert [await status(), await status(tenant="acme"), await status(tenant="acme", groups=["staff"])] == [404] * 3


async def test_an_id_of_odd_characters_is_found_by_its_encoded_form(gateway, get):
    assert (await get(ODD_ID, gateway.key())).json()["chunk_id"] == ODD_ID


@pytest.mark.parametrize("around", ["-1", "11", "all"])
async def test_a_wrong_number_of_neighbours_is_refused(gateway, get, around):
    response = await get("guide-1", gateway.key(), around=around)

    assert f"around='{around}': Input should be" in problem(response, 400, "invalid-input")


async def test_without_a_key_there_is_no_passage(get):
    assert problem(await get("guide-1", {}), 401, "not-authenticated")


async def test_the_api_docs_name_the_route_and_its_failures(gateway):
    documented = gateway.api.openapi()["paths"]["/passages/{chunk_id}"]["get"]

    assert {"200", "400", "401", "403", "404", "503"} <= documented["responses"].keys()
    assert {one["name"] for one in documented["parameters"]} == {"chunk_id", "around", "tenant", "groups"}
