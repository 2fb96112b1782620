"""One Spark and one Milvus for all tests of the jobs; each test has its own tenant."""

import itertools
import json
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse.access.permissions import canonical_groups
from lakehouse.index.index import Index
from lakehouse.index.passages import Passage
from lakehouse.retrieval.retriever import Retriever
from lakehouse.settings import Settings
from lakehouse.storage.delta import ensure_tables, open_table, read_rows
from lakehouse.storage.spark import spark_session
from lakehouse.tables import INGEST_RUNS, Table
from spark_jobs.main import run_step
from tests.lite_server import LiteServer

_TENANTS = itertools.count(1)


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Settings:
    home = tmp_path_factory.mktemp("spark_jobs")
    settings = Settings(
        home=home, spark_driver_memory="1g", milvus_uri=f"http://127.0.0.1:{free_port()}", document_max_bytes=1_000_000
    )
    ensure_tables(settings)
    return settings


@pytest.fixture(scope="session")
def spark(settings: Settings) -> Iterator[SparkSession]:
    with pytest.MonkeyPatch.context() as patch:
        warm = "--conf spark.python.daemon.module=tests.spark_jobs.warm_daemon pyspark-shell"
        patch.setenv("PYSPARK_SUBMIT_ARGS", warm)
        session = spark_session(settings, "tests")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def milvus(settings: Settings) -> Iterator[None]:
    port = int(settings.milvus_uri.rsplit(":", 1)[1])
    server = LiteServer(settings.home / "milvus", port)
    try:
        server.start()
        yield
    finally:
        server.stop()


class Lake:
    """One tenant's lakehouse for a test: write an input, run steps, read tables, search."""

    def __init__(self, spark: SparkSession, settings: Settings, folder: Path) -> None:
        self.spark = spark
        self.settings = settings
        self.folder = folder
        self.tenant = f"tenant{next(_TENANTS)}"
        self._runs = itertools.count(1)

    def write(self, *rows: dict[str, Any] | bytes | str, name: str = "input.jsonl") -> Path:
        """Write a JSONL file of the rows; bytes and strings are written unchanged."""
        lines = [json.dumps(row) if isinstance(row, dict) else row for row in rows]
        path = self.folder / name
        path.write_bytes(b"".join(line if isinstance(line, bytes) else line.encode() for line in map(_ended, lines)))
        return path

    def run(
        self, *steps: str, path: Path | str | Sequence[Path] = "", groups: str = "", snapshot: bool = False,
        allow_deleting: bool = False, run_id: str | None = None,
        settings: Settings | None = None, embedding_model: str | None = None, replay: Sequence[str] = (),
    ) -> dict[str, Any]:  # fmt: skip
        """Run the steps; return the recorded counts of the run."""
        run_id = run_id or f"{self.tenant}-run{next(self._runs)}"
        args = Namespace(
            run_id=run_id, tenant=self.tenant, source="wiki", snapshot=snapshot, allow_deleting=allow_deleting,
            path=[str(path)] if isinstance(path, Path | str) else [str(part) for part in path],
            groups=list(canonical_groups(groups.split(","))), embedding_model=embedding_model, replay=list(replay),
        )  # fmt: skip
        for step in steps:
            run_step(self.spark, settings or self.settings, args, step)
        rows = read_rows(self.settings, INGEST_RUNS, [("run_id", "=", run_id)])
        return {
            name.removeprefix("documents_"): value
            for row in rows
            for name, value in row.items()
            if value is not None and name.startswith(("documents_", "chunks_", "embedded"))
        }

    def parse(self, path: Path | str | Sequence[Path], **options: Any) -> dict[str, Any]:
        return self.run("parse_documents", path=path, **options)

    def ingest(self, path: Path | str, **options: Any) -> dict[str, Any]:
        return self.run("parse_documents", "chunk_documents", "embed_chunks", "sync_index", path=path, **options)

    def index(self) -> Index:
        """Direct access to Milvus, for changes that no job makes; close it."""
        return Index(self.settings)

    def rows(self, table: Table) -> list[dict[str, Any]]:
        return read_rows(self.settings, table, [("tenant_id", "=", self.tenant)])

    def version(self, table: Table) -> int:
        return open_table(self.settings, table).version()

    def search(self, question: str, *groups: str) -> list[Passage]:
        """Search as the gateway does, without its caches."""
        retriever = Retriever(self.settings)
        try:
            return retriever.search(self.tenant, groups, question, k=10, mode="hybrid")
        finally:
            retriever.close()

    def found(self, question: str, *groups: str) -> set[str]:
        return {passage.doc_id for passage in self.search(question, *groups)}


def _ended(line: str | bytes) -> str | bytes:
    return line + b"\n" if isinstance(line, bytes) else line + "\n"


@pytest.fixture
def lake(spark: SparkSession, settings: Settings, tmp_path: Path) -> Lake:
    return Lake(spark, settings, tmp_path)
