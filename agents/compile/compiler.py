"""Compile a program: `python -m agents.compile --program P --optimizer O --questions FILE --tenant T --groups g`.

A DSPy optimizer (`agents.compile.optimizers`) runs the program on training questions and finds instructions and
demonstrations for its steps. The compiled program and the current one answer test questions that the optimizer has not
seen. The compiled one goes live only if success is not lower and a success costs no more.
"""

import argparse
import json
import random
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agents.compile.optimizers import OPTIMIZERS, SEED, SEES_WHOLE_RUNS, optimize
from agents.compile.workbench import Workbench
from agents.programs import PROGRAMS
from agents.runtime import Dependencies, load_program, program_version
from lakehouse.access.permissions import Caller, canonical_groups, check_tenant, named_groups
from lakehouse.costs.call_records import Spool
from lakehouse.costs.prices import Prices
from lakehouse.errors import InvalidInput, LakehopError
from lakehouse.retrieval.retriever import Retriever
from lakehouse.settings import Settings, load_settings
from lakehouse.state.programs import ProgramRegistry
from lakehouse.text.questions import LabelledQuestion, read_questions


def compile_program(
    registry: ProgramRegistry,
    workbench: Workbench,
    caller: Caller,
    name: str,
    optimizer: str,
    train: Sequence[LabelledQuestion],
    test: Sequence[LabelledQuestion],
) -> dict[str, Any]:
    """Compile, score before and after on the test questions, and store the version.

    Returns its row of `ops.agent_programs`.
    """
    answering = registry.answering(caller, name)
    current, _ = load_program(name, answering)
    before = workbench.score(current, test)
    compiled = optimize(workbench, name, optimizer, current, before, train)
    after = workbench.score(compiled, test)
    state = json.dumps(compiled.dump_state(), ensure_ascii=False, sort_keys=True)
    row = {
        "tenant_id": caller.tenant_id,
        "program": name,
        "version": program_version(f"{caller.tenant_id}\n{state}".encode()),  # two tenants' states may be equal
        "optimizer": optimizer,
        "model": workbench.model,
        "trained_on": len(train),
        "tested_on": len(test),
        "score_before": before.share,
        "score_after": after.share,
        "usd_per_success_before": before.usd_per_success,
        "usd_per_success_after": after.usd_per_success,
        "live": after.is_no_worse_than(before),
        "why": f"{after}; before, {before}",
        "created_at": datetime.now(UTC),
    }
    sees_whole_runs = optimizer in SEES_WHOLE_RUNS
    quoted = registry.documents(
        caller.tenant_id, workbench.documents_read if sees_whole_runs else workbench.documents_of_successes
    )
    if sees_whole_runs and answering:
        quoted |= answering.documents
    registry.add(row, state, quoted)
    return row


def read_answered(path: Path) -> list[LabelledQuestion]:
    """The questions of a file that have an answer; others can be neither learned from nor scored."""
    return [question for question in read_questions(path, need_ids=False) if question.answers]


def main(arguments: Sequence[str] | None = None) -> int:
    """Compile and print the version's row as JSON on stdout. Returns 1 after an error, whose text goes to stderr."""
    given = _arguments(arguments)
    try:
        settings = load_settings()
        train, test = _train_and_test(given)
        caller = _caller(given)
        workbench = Workbench(_dependencies(settings), caller, given.program, train)
        try:
            with redirect_stdout(sys.stderr):  # DSPy prints its progress; stdout holds the JSON document alone
                registry = ProgramRegistry(settings)
                row = compile_program(registry, workbench, caller, given.program, given.optimizer, train, test)
        finally:
            workbench.close()
    except LakehopError as error:
        print(f"compile: {error}", file=sys.stderr)
        return 1
    print(json.dumps(row, default=str))
    return 0


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m agents.compile", description=__doc__)
    parser.add_argument("--program", required=True, choices=sorted(PROGRAMS))
    parser.add_argument("--optimizer", default="bootstrap", choices=OPTIMIZERS)
    parser.add_argument("--questions", required=True, type=Path, help="JSONL with question, answer, aliases, gold_ids")
    parser.add_argument("--test-questions", type=Path, help="others to score with; without: half of --questions")
    parser.add_argument("--tenant", required=True)
    parser.add_argument("--groups", default="", help="whose reader the program asks as, separated by commas")
    parser.add_argument("--group", action="append", default=[], help="one of these groups, commas and all; repeatable")
    parser.add_argument("--limit", type=int, help="score with so many test questions at most")
    return parser.parse_args(arguments)


def _train_and_test(given: argparse.Namespace) -> tuple[list[LabelledQuestion], list[LabelledQuestion]]:
    train = read_answered(given.questions)
    random.Random(SEED).shuffle(train)  # noqa: S311  an order, not a secret
    if given.test_questions:
        test = read_answered(given.test_questions)
    else:
        train, test = train[: len(train) // 2], train[len(train) // 2 :]
    seen = {question.text for question in train}
    test = [question for question in test if question.text not in seen][: given.limit]
    if not train or not test:
        raise InvalidInput(
            f"{len(train)} questions to train on, {len(test)} others to test on: both are needed. Add some."
        )
    return train, test


def _dependencies(settings: Settings) -> Dependencies:
    return Dependencies(
        settings=settings,
        retriever=Retriever(settings),
        spool=Spool(settings.spool_dir),
        prices=Prices.from_file(settings.prices_file),
    )


def _caller(given: argparse.Namespace) -> Caller:
    return Caller(
        check_tenant(given.tenant),
        canonical_groups(named_groups(given.groups, given.group)),
        app="compile",
        key_id="operator",
    )
