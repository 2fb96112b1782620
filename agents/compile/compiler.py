"""Compile a program: `python -m agents.compile --program P --optimizer O --questions FILE --tenant T --groups g`.

A DSPy optimizer (`agents.compile.optimizers`) runs the program on training questions and finds instructions and
demonstrations for its steps. What comes out is asked questions that the optimizer did not see, beside what answers
now, and goes live only if success is not lower and a success costs no more.
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

from agents.compile.optimizers import OPTIMIZERS, SEED, Optimizer, Question, Workbench, optimized
from agents.programs import PROGRAMS
from agents.runtime import Dependencies, load_program, program_version
from lakehouse.access.permissions import Caller, canonical_groups, check_tenant
from lakehouse.costs.call_records import Spool
from lakehouse.costs.prices import Prices
from lakehouse.errors import InvalidInput, LakehopError
from lakehouse.retrieval.retriever import Retriever
from lakehouse.settings import Settings, load_settings
from lakehouse.state.programs import ProgramRegistry


def judged(
    registry: ProgramRegistry,
    workbench: Workbench,
    caller: Caller,
    name: str,
    optimizer: Optimizer,
    train: Sequence[Question],
    test: Sequence[Question],
) -> dict[str, Any]:
    """Compile, ask the test questions before and after, and keep the version; the row of `ops.agent_programs`."""
    answering = registry.answering(caller, name)
    current, _ = load_program(name, answering)
    before = workbench.score(current, test)
    compiled = optimized(workbench, name, optimizer, current, before, train)
    after = workbench.score(compiled, test)
    state = json.dumps(compiled.dump_state(), ensure_ascii=False, sort_keys=True)
    row = {
        "tenant_id": caller.tenant_id,
        "program": name,
        "version": program_version(f"{caller.tenant_id}\n{state}".encode()),  # two tenants' may be the same
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
    # GEPA sees whole runs and goes on from what answers now; the others copy what was right.
    quoted = registry.documents(caller.tenant_id, workbench.read if optimizer == "gepa" else workbench.copied)
    if optimizer == "gepa" and answering:
        quoted |= answering.documents
    registry.add(row, state, quoted)
    return row


def read_questions(path: Path) -> list[Question]:
    """The questions of a JSONL file that have an answer. Raises InvalidInput naming the line that is none."""
    questions = []
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"--questions {str(path)!r}: {error}. Name a readable JSONL file.") from None
    for number, line in enumerate(lines, start=1):
        try:
            row = dict(json.loads(line))
            text = row["question"]
            if "answer" in row:
                answers = (str(row["answer"]), *(row.get("aliases") or row.get("answer_aliases", ())))
                questions.append(Question(text, answers, tuple(row.get("gold_ids", ()))))
        except (ValueError, KeyError, TypeError):
            raise InvalidInput(
                f'{path}, line {number}: {line[:80]!r}: must be JSON like {{"question": "…", "answer": "…"}}. Mend it.'
            ) from None
    return questions


def main(arguments: Sequence[str] | None = None) -> int:
    """Compile as the arguments say, print the result as JSON on stdout; 1 after an error, which stderr tells."""
    given = _arguments(arguments)
    try:
        settings = load_settings()
        train, test = _train_and_test(given)
        caller = _caller(given)
        workbench = Workbench(_dependencies(settings), caller, given.program, train)
        try:
            with redirect_stdout(sys.stderr):  # DSPy prints its progress, and stdout carries the result alone
                registry = ProgramRegistry(settings)
                row = judged(registry, workbench, caller, given.program, given.optimizer, train, test)
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
    parser.add_argument("--limit", type=int, help="score with so many test questions at most")
    return parser.parse_args(arguments)


def _train_and_test(given: argparse.Namespace) -> tuple[list[Question], list[Question]]:
    train = read_questions(given.questions)
    random.Random(SEED).shuffle(train)  # noqa: S311  an order, not a secret
    if given.test_questions:
        test = read_questions(given.test_questions)
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
        check_tenant(given.tenant), canonical_groups(given.groups.split(",")), app="compile", key_id="operator"
    )
