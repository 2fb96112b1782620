"""The program that spark-submit starts. It runs the named steps in order in one JVM: a JVM start costs ten seconds.

spark-submit spark_jobs/main.py parse_documents chunk_documents --run-id r --tenant a --source s --path d
spark-submit spark_jobs/main.py embed_chunks sync_index --run-id r --tenant a --source s
spark-submit spark_jobs/main.py load_llm_calls --run-id r2
spark-submit spark_jobs/main.py reindex --run-id r3 --tenant acme --embedding-model models/other
spark-submit spark_jobs/main.py reconcile_index --run-id r4
spark-submit spark_jobs/main.py forget_documents --run-id r5 --tenant acme --source docs --document plan.md
spark-submit spark_jobs/main.py maintain --run-id r6
"""

import argparse
import logging
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from importlib import import_module

from pyspark.sql import SparkSession

from lakehouse.access.permissions import canonical_groups, check_tenant, named_groups
from lakehouse.errors import InvalidInput
from lakehouse.kept_driver import BUSY
from lakehouse.settings import Settings, load_settings
from lakehouse.storage.delta import ensure_tables
from lakehouse.storage.spark import spark_session
from spark_jobs.runner.counts import Counts, record, recorded
from spark_jobs.runner.failures import FAILURES, explain
from spark_jobs.runner.progress import reported
from spark_jobs.runner.writer_lock import WAIT_S, AnotherWriterError, only_writer

INGEST_STEPS = ("parse_documents", "chunk_documents", "embed_chunks", "sync_index")
# A module is imported when its step runs: the modules of the index take seconds to import.
STEPS = {
    "parse_documents": "spark_jobs.documents.parse",
    "chunk_documents": "spark_jobs.documents.chunk",
    "embed_chunks": "spark_jobs.index.embed",
    "sync_index": "spark_jobs.index.sync",
    "reindex": "spark_jobs.index.reindex",
    "reconcile_index": "spark_jobs.index.reconcile",
    "load_llm_calls": "spark_jobs.costs.load_calls",
    "forget_documents": "spark_jobs.upkeep.forget",
    "maintain": "spark_jobs.upkeep.maintain",
}
_NEEDED: dict[str, tuple[str, ...]] = {
    "parse_documents": ("tenant", "source", "path"),
    "forget_documents": ("tenant",),
    "reindex": ("embedding_model",),
    "reconcile_index": (),
    "load_llm_calls": (),
    "maintain": (),
}
"""Options that a step requires. A step that is not listed requires tenant and source."""
_OF_ALL_TENANTS = {"forget_documents", "maintain"}
"""Steps that remove files or vectors that several tenants share, also when they work for one tenant."""

log = logging.getLogger("spark_jobs")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code: see `run_job`; 2 for wrong arguments."""
    log_to_stderr()
    return run_job(parse_arguments(sys.argv[1:] if arguments is None else arguments), spark_session)


def log_to_stderr() -> None:
    """Log as Airflow's task log shows it, with py4j's chatter left out."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    logging.getLogger("py4j").setLevel(logging.WARNING)


def run_job(
    args: argparse.Namespace, session: Callable[[Settings, str], SparkSession], wait_s: float | None = None
) -> int:
    """Run the steps. Exit code: 0 done; 1 failed, try again; 2 wrong input, which another try cannot repair; BUSY.

    `session` gives the Spark session for a job's name. `wait_s`: how long to wait for another writer before BUSY,
    which did nothing; default WAIT_S.
    """
    try:
        settings = load_settings()
        with _writer_lock(settings, args, WAIT_S if wait_s is None else wait_s):
            ensure_tables(settings)
            spark = session(settings, "lakehop " + " ".join(args.steps))
            for step in args.steps:
                run_step(spark, settings, args, step)
    except AnotherWriterError as error:
        log.error("%s", error)
        return BUSY
    except FAILURES as error:
        failure = explain(error)
        if failure is None:
            raise
        kind, text = failure
        log.error("%s", text)
        return 2 if issubclass(kind, InvalidInput) else 1
    return 0


def _writer_lock(settings: Settings, args: argparse.Namespace, wait_s: float) -> AbstractContextManager[None]:
    """Keep other writers out. Call records have tables of their own, so loading them need not wait for an ingest."""
    if args.steps == ["load_llm_calls"]:
        return nullcontext()
    tenant_id = args.tenant if _OF_ALL_TENANTS.isdisjoint(args.steps) else None
    return only_writer(settings.home, f"{' '.join(args.steps)} of run {args.run_id}", tenant_id, wait_s)


def run_step(spark: SparkSession, settings: Settings, args: argparse.Namespace, step: str) -> None:
    """Run one step, log its counts, and record them added to the counts of earlier attempts of the same run."""
    started_at = datetime.now(UTC)
    begun = time.monotonic()
    with reported(spark, settings, args, step, started_at):
        counts: Counts = import_module(STEPS[step]).run(spark, settings, args)
    numbers = " ".join(f"{name}={count}" for name, count in counts.items())
    log.info("%s: %s seconds=%.1f", step, numbers, time.monotonic() - begun)
    if step not in INGEST_STEPS:
        return
    if step != "parse_documents":  # a retry of the other steps sees only the remaining changes
        earlier = recorded(settings, args, step)
        counts = {name: count + earlier.get(name, 0) for name, count in counts.items()}
    record(settings, args, step, counts, started_at)


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """The arguments of the steps. Wrong arguments end the process with exit code 2 and one line of explanation."""
    parser = argparse.ArgumentParser(prog="spark_jobs/main.py", description=__doc__)
    parser.add_argument("steps", nargs="+", choices=STEPS, metavar="STEP", help=f"one or more of {', '.join(STEPS)}")
    parser.add_argument("--run-id", required=True, help="id in ops.ingest_runs; the same id again is a retry")
    parser.add_argument("--tenant", help="tenant of the documents; reindex and reconcile_index: all tenants without it")
    parser.add_argument("--source", help="name of the feed; ids are unique, and snapshots delete, within it")
    parser.add_argument("--path", action="append", help="file, folder, JSONL, Parquet or s3a://…; may be repeated")
    parser.add_argument("--groups", default="", help="comma-separated, for documents that name none; empty: everyone")
    parser.add_argument(
        "--group", action="append", default=[], metavar="NAME", help="one more of these groups, commas and all"
    )
    parser.add_argument(
        "--snapshot", action="store_true", help="delete documents of the source that are not at the paths"
    )
    parser.add_argument("--allow-deleting", action="store_true", help="a snapshot may delete most of the source")
    parser.add_argument(
        "--replay", action="append", default=[], metavar="RUN", help="ingest only the documents that this run refused"
    )
    parser.add_argument("--document", action="append", default=[], help="id to forget; without one, all of the source")
    parser.add_argument("--embedding-model", help="reindex: id of a model, or a model folder that all workers see")
    args = parser.parse_args(arguments)
    needed = {name for step in args.steps for name in _NEEDED.get(step, ("tenant", "source"))}
    if missing := sorted(f"--{name.replace('_', '-')}" for name in needed if not getattr(args, name)):
        parser.error(f"{', '.join(missing)} missing: needed for {' '.join(args.steps)}. Add it.")
    if args.replay and args.snapshot:
        parser.error("--replay reads a part of the source, --snapshot would delete the rest. Leave one out.")
    try:
        if args.tenant:
            check_tenant(args.tenant)
        args.groups = list(canonical_groups(named_groups(args.groups, args.group)))
    except InvalidInput as error:
        parser.error(str(error))
    return args


if __name__ == "__main__":
    sys.exit(main())
