"""The loop of hops searches for what is missing, and stops when nothing is, when nothing is new, or at its bound."""

import pytest

from agents.writing.evidence import Subject, gather
from tests.agents.conftest import passage

HTTPX = passage("httpx", "httpx is a client with async support.")
REQUESTS = passage("requests", "requests is a client for humans.")
OTHER = passage("urllib3", "urllib3 pools connections.")


class Searches:
    """Stands for a task: what each query finds."""

    def __init__(self, max_hops, **found):
        self.max_hops, self.found, self.asked = max_hops, found, []

    async def search(self, query, *, hop, k, mode):
        self.asked.append((hop, query))
        return self.found.get(query, [])


ASKED = "difference between httpx and requests in timeouts"
QUESTION = Subject(ASKED, ASKED, ("httpx", "requests"))


async def test_a_side_that_no_document_is_about_is_searched_for():
    task = Searches(4, requests=[REQUESTS, OTHER])

    passages = await gather(task, QUESTION, [HTTPX, OTHER])

    assert [passage.title for passage in passages] == ["httpx", "requests", "urllib3"]
    assert task.asked[0] == (2, "requests")


async def test_the_loop_ends_where_nothing_new_comes():
    task = Searches(8)

    await gather(task, QUESTION, [OTHER])

    assert {hop for hop, _ in task.asked} == {2}


@pytest.mark.parametrize(("max_hops", "hops"), [(1, []), (2, [2]), (3, [2, 3])])
async def test_the_bound_is_the_tasks(max_hops, hops):
    task = Searches(max_hops, requests=[OTHER], httpx=[HTTPX])

    await gather(task, QUESTION, [])

    assert sorted({hop for hop, _ in task.asked}) == hops
