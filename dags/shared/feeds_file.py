"""The file that `LAKEHOP_FEEDS_FILE` names: the scheduled feeds, evaluations and compilations of a deployment.

[feeds.wiki]                                   # a DAG `ingest_wiki`, dated and scheduled
path = ["s3://exports/wiki/dt={{ ds }}/"]      # a template of Airflow's, filled with the run's date
tenant = "acme"
groups = ["staff", "CN=Sales,OU=EMEA,DC=x"]    # optional, as is `snapshot = true`; "a,b" for plain names
schedule = "@daily"
start_date = 2026-01-01

[evaluations.acme]                             # asked again after a new index or program of that tenant
tenant = "acme"
groups = "staff"
questions = "/srv/questions/acme.jsonl"
program = "multihop"                           # optional

[compilations.acme]                            # a DAG `compile_acme`
tenant = "acme"
groups = "staff"
questions = "/srv/questions/acme-train.jsonl"
test_questions = "/srv/questions/acme-test.jsonl"  # optional: else half of the questions
program = "multihop"                           # optional
optimizer = "bootstrap"                        # optional
schedule = "@weekly"
"""

import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dags.shared.params import TENANT_PATTERN
from lakehouse.settings import Program, Settings


class Feed(BaseModel):
    """Documents that come by date. The run of a date ingests the documents at `path` of that date."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: list[str] = Field(min_length=1)
    tenant: str = Field(pattern=f"^{TENANT_PATTERN}$")
    groups: str | list[str] = ""
    snapshot: bool = False
    allow_deleting: bool = False
    schedule: str = Field(min_length=1)
    start_date: date


class Evaluation(BaseModel):
    """Questions that check whether a tenant's answers are still correct."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant: str
    groups: str | list[str] = ""
    questions: Path
    program: Program = "multihop"


class Compilation(BaseModel):
    """A program that is compiled on a schedule: with new documents it may become better or cheaper."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tenant: str = Field(pattern=f"^{TENANT_PATTERN}$")
    groups: str | list[str] = ""
    questions: Path
    test_questions: Path | None = None
    program: Program = "multihop"
    optimizer: str = "bootstrap"
    schedule: str = Field(min_length=1)


class FeedsFile(BaseModel):
    """The whole file, each entry by its name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    feeds: dict[Annotated[str, Field(pattern=r"^\w+$")], Feed] = {}  # the name is part of the DAG's
    evaluations: dict[str, Evaluation] = {}
    compilations: dict[Annotated[str, Field(pattern=r"^\w+$")], Compilation] = {}


def read_feeds_file(settings: Settings) -> FeedsFile:
    """The declarations of the file; none when the setting is empty. A bad file is an import error in Airflow's UI."""
    if not settings.feeds_file:
        return FeedsFile()
    try:
        return FeedsFile.model_validate(tomllib.loads(Path(settings.feeds_file).read_text(encoding="utf-8-sig")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise ValueError(
            f"LAKEHOP_FEEDS_FILE={settings.feeds_file!r}: {error}. Correct the file, or unset it."
        ) from None
