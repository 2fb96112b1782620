"""The two things that a question compares, as people type it."""

import pytest

from agents.writing.sides import sides_of


@pytest.mark.parametrize(
    ("question", "sides"),
    [
        ("What is the difference between httpx and requests?", ["httpx", "requests"]),
        ("diff flat vs ivf_flat pls", ["flat", "ivf_flat"]),
        ("difference between the RDB and the AOF persistence?", ["RDB", "AOF persistence"]),
        ("compare HNSW with DiskANN", ["HNSW", "DiskANN"]),
        ("Was ist der Unterschied zwischen Milvus Lite und Milvus Standalone?", ["Milvus Lite", "Milvus Standalone"]),
        ("quelle est la différence entre uvicorn et gunicorn ?", ["uvicorn", "gunicorn"]),
        ("hnsw versus ivf_pq, when do i use which", ["hnsw", "ivf_pq"]),
        ("milvus lite or standalone for a laptop?", ["milvus lite", "standalone"]),
        ("How do I install starlette?", []),
        ("compare", []),
    ],
)
def test_sides_are_as_the_asker_wrote_them(question: str, sides: list[str]) -> None:
    assert sides_of(question) == sides
