"""Every setting of Lakehop: its name, unit, default, and the reason for the default.

A process builds one frozen `Settings` at its entry with `load_settings()`, from environment variables (`LAKEHOP_` and
the field's name in capitals) over an optional TOML file (`LAKEHOP_CONFIG`). No other module reads the environment, but
`lakehouse.access.mcp_servers` for the secrets that its file refers to. An unknown name is an error, because a typo that
passes in silence is found in production.
"""

import difflib
import os
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator

from lakehouse.errors import SettingsError

PREFIX = "LAKEHOP_"
PROJECT_ROOT = Path(__file__).resolve().parents[1]
# The longest that one HTTP answer may take; proxies and clients cut longer ones.
MAX_TASK_SECONDS = 900
Program = Literal["single_shot", "multihop", "react", "team"]
"""What may answer a question; `agents.programs` holds them."""
# Documents that one question may want to agree: each costs up to three model calls for a fact, and a task has 32.
MAX_QUORUM = 5
# Texts that an answer is judged by, of its citations.
MAX_EVIDENCE = 20
BUNDLED_LLM = "SmolLM2-135M-Instruct"
# The reranker that is no cross-encoder, but the model that programs ask.
LLM_RERANKER = "llm"
# Airflow pools: what may write the index and the tables of documents, and what may ask the model, at one time.
WRITER_POOL = "lakehouse_writer"
MODEL_POOL = "model_caller"


class Settings(BaseModel, frozen=True, extra="forbid"):
    """What differs between a laptop and a cluster, and nothing else does."""

    home: Path = Field(
        PROJECT_ROOT / ".lakehop", description="Folder of the local stack's state, logs, keys and spool."
    )
    cache: Path = Field(Path.home() / ".cache" / "lakehop", description="Folder of prepared models; clones share it.")
    warehouse: str = Field(
        "", description="Root of the Delta tables: a folder or s3a://…; empty: `warehouse` under home."
    )
    local_parts: str = Field(
        "milvus,vllm,gateway,airflow",
        description="Parts that `lakehop up` starts on this machine; leave out what runs elsewhere.",
    )

    spark_master: str = Field("local[2]", description="Spark master of every job.")
    spark_driver_memory: str = Field(
        "2g", description="JVM heap of the driver, which is also the executor in local mode."
    )
    spark_packages: str = Field(
        "",
        description="More Maven packages for Spark, comma-separated; "
        "org.apache.hadoop:hadoop-aws:3.5.0 reads and writes s3a://….",
    )
    spark_python: str = Field(
        "",
        description="Python of the executors of a cluster, with the pinned environment; empty: at the same path as the "
        "driver's.",
    )
    spark_executor_memory: str = Field(
        "4g",
        description="JVM heap of an executor of a cluster; its Python workers take as much again for the model, "
        "and LAKEHOP_DOCUMENT_MEMORY_MB each while they convert.",
    )
    spark_executor_cores: int = Field(
        0, ge=0, description="Cores of an executor of a cluster, and so its tasks at one time; 0: all of its machine's."
    )
    spark_dynamic_allocation: bool = Field(
        False,
        description="Executors of a cluster come and go with the work; then no GPU is held but while texts are "
        "embedded.",
    )
    spark_gpus_per_task: Decimal = Field(
        Decimal(0),
        ge=0,
        le=1,
        description="GPU share of an embedding task; 0: on the CPU. Of a cluster, each executor that embeds has one.",
    )

    s3_endpoint: str = Field(
        "", description="An S3-compatible store such as http://127.0.0.1:9000; empty: Amazon's, of the region."
    )
    s3_region: str = Field("us-east-1", description="Region of the buckets; most other stores take any.")
    s3_access_key: SecretStr = Field(
        SecretStr(""), description="Access key of the buckets; empty: what AWS's own variables, files or roles give."
    )
    s3_secret_key: SecretStr = Field(SecretStr(""), description="The secret that belongs to it.")

    embedding_model: str = Field(
        "all-MiniLM-L6-v2",
        description="Model of new tenants, whose tokenizer also measures chunks: an id that came with the environment, "
        "or a folder. `lakehop reindex` moves a tenant that has an index to another.",
    )
    multihop_weights: str = Field(
        "",
        description="Weights of searches by mode multihop, a file that `lakehop weights` wrote; empty: those that come "
        "with Lakehop.",
    )
    reranker: str = Field(
        "",
        description="What orders the best 20 passages of searches anew. A cross-encoder: a folder, or an id that is in "
        f"the model cache; `{LLM_RERANKER}`: the model of LAKEHOP_LLM_MODEL, at its price; empty: nothing.",
    )
    chunk_max_tokens: int = Field(
        200,
        ge=32,
        le=8192,
        description="Upper size of a chunk in the embedding model's tokens; "
        "MiniLM reads 256 and title and headings need room.",
    )
    document_max_bytes: int = Field(
        10_000_000, gt=0, description="A larger document is quarantined, in bytes of UTF-8."
    )
    file_max_bytes: int = Field(
        100_000_000,
        gt=0,
        le=1_000_000_000,
        description="A larger PDF, Office file, mail or archive is quarantined, in bytes; pictures make them ten times "
        "as large as their text.",
    )
    document_seconds: float = Field(
        120,
        gt=0,
        description="Time to convert one document, seconds; 40 pages of PDF take 20 s, and OCR 3 s a page. "
        "What takes longer is stopped and quarantined.",
    )
    document_memory_mb: int = Field(
        1024,
        ge=64,
        description="Memory to convert one document, MB, in each Spark worker; a spreadsheet takes ten times its size.",
    )
    document_languages: str = Field(
        "", description="Languages of documents, comma-separated ISO 639-1 codes such as `en,de`; empty: any."
    )
    near_duplicate_similarity: float = Field(
        0,
        description="A document that repeats another of its source and groups so far is quarantined: share of runs of "
        "five words that both have, 0.5 to 1, e.g. 0.9; 0: copies are taken in.",
    )
    website_max_pages: int = Field(1000, gt=0, description="Pages of one sitemap that one run reads.")
    website_max_seconds: float = Field(
        1800, gt=0, description="Time for one sitemap in one run, seconds; half of what `lakehop ingest` waits."
    )
    website_delay_seconds: float = Field(
        1, ge=0, description="Least pause between two requests to a site, seconds; its robots.txt can ask for more."
    )

    milvus_uri: str = Field("http://127.0.0.1:19530", description="Milvus, or `milvus-lite server`.")
    milvus_token: SecretStr = Field(SecretStr(""), description="`user:password` or an API key; empty: none.")
    milvus_timeout_s: float = Field(
        20, gt=0, description="Seconds for one Milvus call; the first BM25 query after a start can take 13 s."
    )

    llm_base_url: str = Field("http://127.0.0.1:8001/v1", description="Any OpenAI-compatible endpoint.")
    llm_model: str = Field(BUNDLED_LLM, description="Model name as that endpoint knows it.")
    llm_api_key: SecretStr = Field(SecretStr(""), description="Bearer key for that endpoint; empty: none.")
    llm_dialect: Literal["vllm", "openai"] = Field(
        "vllm",
        description="`vllm`: answers are held to grammars and counted as they stream; `openai`: nothing but OpenAI's.",
    )
    llm_reads: int = Field(
        0,
        ge=0,
        le=5,
        description="Passages that `multihop` has it read in one call at most; 0: 1 for the bundled model, which mixes "
        "them up, and 3 for others.",
    )
    llm_timeout_s: float = Field(60, gt=0, description="Seconds for one model call.")
    prices_file: Path = Field(
        PROJECT_ROOT / "lakehouse" / "costs" / "prices.toml", description="Prices per million tokens, by date."
    )

    gateway_url: str = Field("http://127.0.0.1:3000", description="Where the BentoML gateway listens.")
    program: Program = Field("multihop", description="Program of an /ask that names none.")
    max_hops: int = Field(3, ge=1, le=8, description="Searches of one multihop task at most.")
    task_max_usd: Decimal = Field(
        Decimal("0.10"), gt=0, description="Spend cap of one task that names none, US dollars."
    )
    task_max_seconds: float = Field(
        120, gt=0, le=MAX_TASK_SECONDS, description=f"Time cap of one task that names none, up to {MAX_TASK_SECONDS} s."
    )

    memory_days: int = Field(
        180, ge=1, le=3650, description="What is remembered for a user is forgotten so many days after it was written."
    )
    mcp_servers_file: str = Field(
        "",
        description="JSON or TOML file of MCP servers whose tools `react` and `team` may call, spelled as other "
        "clients spell `mcpServers`, with `allow`; empty: none. See docs/agents.md.",
    )

    tasks_database_url: SecretStr = Field(
        SecretStr(""),
        description="Database of durable tasks, as SQLAlchemy takes it: postgresql+psycopg://…; empty: SQLite under "
        "home. Gateways that share one take over from one another.",
    )

    airflow_url: str = Field("http://127.0.0.1:8080", description="Airflow's API server.")
    airflow_user: str = Field("admin", description="Its user; the local stack creates it.")
    airflow_password: SecretStr = Field(
        SecretStr(""), description="Empty: the one that the local stack wrote under home."
    )
    airflow_database: SecretStr = Field(
        SecretStr(""),
        description="SQLAlchemy URL of Airflow's metadata, e.g. postgresql+psycopg2://user:password@host/airflow; "
        "empty: a SQLite file under home.",
    )
    alert_webhook_url: SecretStr = Field(
        SecretStr(""),
        description='Failures of DAGs are posted there as {"text": …}, which Slack reads; empty: only logged.',
    )
    feeds_file: str = Field(
        "",
        description="TOML file of dated feeds to ingest and questions to evaluate on their own; empty: none.",
    )
    spark_task_timeout_s: int = Field(
        21600,
        gt=0,
        description="A Spark task of a DAG is stopped after so long, seconds: one that hangs would hold the pool of "
        "writers, and every other ingest with it.",
    )
    vacuum_hours: int = Field(
        168,
        ge=24,
        description="Files that no version of the last so many hours needs are deleted by the DAG `maintenance`; "
        "older versions can't be read any more.",
    )
    ingest_timeout_s: float = Field(3600, gt=0, description="How long `lakehop ingest` waits for its run, seconds.")

    thrift_port: int = Field(10000, ge=1, le=65535, description="Port of the Spark Thrift server, on loopback.")

    @field_validator("milvus_uri", "llm_base_url", "gateway_url", "airflow_url")
    @classmethod
    def _is_http_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be a URL such as http://127.0.0.1:3000")
        return url.rstrip("/")

    @field_validator("near_duplicate_similarity")
    @classmethod
    def _is_off_or_a_half_at_least(cls, similarity: float) -> float:
        if similarity != 0 and not 0.5 <= similarity <= 1:
            raise ValueError("must be 0 or from 0.5 to 1")
        return similarity

    @field_validator("document_languages")
    @classmethod
    def _are_language_codes(cls, codes: str) -> str:
        names = [code.strip().lower() for code in codes.split(",") if code.strip()]
        if not all(len(name) == 2 and name.isalpha() and name.isascii() for name in names):
            raise ValueError("must be two-letter codes such as en,de")
        return ",".join(names)

    @property
    def warehouse_root(self) -> str:
        """Root of the Delta tables, without a trailing slash."""
        return (self.warehouse or str(self.home / "warehouse")).rstrip("/")

    @property
    def spark_is_local(self) -> bool:
        """True when driver and executors are one JVM on this machine."""
        return self.spark_master.startswith("local")

    @property
    def delta_storage(self) -> dict[str, str]:
        """What deltalake must know of the warehouse's storage, where AWS's own environment does not say it."""
        if not self.warehouse_root.startswith("s3a://"):
            return {}
        given = {
            "endpoint_url": self.s3_endpoint,
            "region": self.s3_region,
            "access_key_id": self.s3_access_key.get_secret_value(),
            "secret_access_key": self.s3_secret_key.get_secret_value(),
            "allow_http": "true" if self.s3_endpoint.startswith("http://") else "",
            # of two writers of one version the second is refused, by the store itself
            "conditional_put": "etag",
        }
        bounds = {"timeout": "30s", "connect_timeout": "10s", "max_retries": "3", "retry_timeout": "60s"}
        return {f"aws_{name}": value for name, value in given.items() if value} | bounds

    @property
    def search_seconds(self) -> float:
        """What a bare search may take at most, seconds: as a task, where a model orders what it found."""
        return self.task_max_seconds if self.reranker == LLM_RERANKER else self.milvus_timeout_s * 2

    @property
    def passages_at_once(self) -> int:
        """How many passages a program has the model read in one call at most."""
        return self.llm_reads or (1 if self.llm_model == BUNDLED_LLM else 3)

    @property
    def spool_dir(self) -> Path:
        """Where services leave call records until `load_llm_calls` takes them."""
        return self.home / "spool"

    @property
    def ledger_path(self) -> Path:
        """SQLite file of API keys and what each has spent today."""
        return self.home / "ledger.sqlite"


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Build the process's settings; raise `SettingsError` naming each bad value, what is allowed, and what to do."""
    environ = os.environ if environ is None else environ
    given = _from_file(environ.get(PREFIX + "CONFIG")) | _from_environment(environ)
    for name in given:
        if name not in Settings.model_fields:
            near = difflib.get_close_matches(name, Settings.model_fields, n=1)
            hint = f"did you mean {PREFIX}{near[0].upper()}?" if near else "`lakehop status` lists all settings."
            raise SettingsError(f"unknown setting {PREFIX}{name.upper()}: {hint}")
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(e) for e in error.errors())) from None


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    names = (name for name in environ if name.startswith(PREFIX) and name != PREFIX + "CONFIG")
    return {name.removeprefix(PREFIX).lower(): environ[name] for name in names}


def _from_file(path: str | None) -> dict[str, Any]:
    if not path:
        return {}
    try:
        return tomllib.loads(Path(path).read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{PREFIX}CONFIG={path!r}: {error}. Name a readable TOML file, or unset it.") from None


def _explain(error: Any) -> str:
    name = str(error["loc"][0])
    return f"{PREFIX}{name.upper()}={error['input']!r}: {error['msg']}. {Settings.model_fields[name].description}"
