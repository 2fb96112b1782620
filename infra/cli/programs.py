"""Commands that measure, compile, choose and trace programs: `eval`, `compile`, `programs`, `weights`, `trace`."""

from pathlib import Path

import click

from infra.cli.terminal import (
    PROGRAMS,
    emit,
    groups_option,
    json_option,
    program_option,
    say,
    settings,
    tenant_option,
)

questions_option = click.option(
    "--questions",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='JSONL of {"id","question","answer"?,"aliases"?,"gold_ids"?}.',
)


@click.command("eval")
@questions_option
@tenant_option
@groups_option
@program_option
@click.option("--retrieval-only", is_flag=True, help="Only search and measure recall; no model call.")
@click.option("--limit", type=click.IntRange(min=1), help="Ask only the first N questions.")
@click.option("--judge", is_flag=True, help="Also have a model judge the cited answers, at extra cost.")
@json_option
def evaluate(
    questions: Path,
    tenant: str,
    groups: list[str],
    program: str | None,
    retrieval_only: bool,
    limit: int | None,
    judge: bool,
    as_json: bool,
) -> None:
    """Ask every question of a file, score the answers, and write gold.eval_runs and gold.eval_results.

    \b
    lakehop eval --questions questions.jsonl --tenant acme --groups staff --program multihop
    """
    from infra.cli.render import print_record
    from infra.evaluation.evaluate import evaluate as run

    if judge and retrieval_only:
        raise click.UsageError(
            "--judge and --retrieval-only: a search gives no answer to judge. Leave out one of the two."
        )
    current = settings()
    scores = run(current, questions, tenant, groups, program or current.program, retrieval_only, limit, judge)
    emit(as_json, scores, print_record)


@click.command("compile")
@click.option("--program", required=True, type=click.Choice(PROGRAMS))
@click.option(
    "--optimizer",
    required=True,
    help="bootstrap, random_search, mipro or gepa; the last two rewrite prompts by a model.",
)
@questions_option
@click.option(
    "--test-questions",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Questions for scoring; default: half of --questions, hidden from the optimizer.",
)
@tenant_option
@groups_option
@json_option
def compile_(
    program: str,
    optimizer: str,
    questions: Path,
    test_questions: Path | None,
    tenant: str,
    groups: list[str],
    as_json: bool,
) -> None:
    """Compile a DSPy program on a file of questions, score it before and after, and register it.

    The new version goes live if its success is not lower and a success does not cost more.

    \b
    lakehop compile --program multihop --optimizer bootstrap --questions questions.jsonl --tenant acme
    """
    from infra.cli.render import print_record
    from infra.evaluation.compile import compile_program

    document = compile_program(settings(), program, optimizer, questions, test_questions, tenant, groups, say)
    emit(as_json, document, print_record)


@click.group()
def programs() -> None:
    """The compiled versions of a tenant's programs."""


@programs.command("list")
@tenant_option
@click.option("--program", type=click.Choice(PROGRAMS), help="Only this program.")
@json_option
def list_(tenant: str, program: str | None, as_json: bool) -> None:
    """List the versions, newest first, with their scores and the cost of a success.

    \b
    lakehop programs list --tenant acme
    """
    from infra.cli.render import print_programs
    from lakehouse.state.programs import ProgramRegistry

    emit(as_json, {"versions": ProgramRegistry(settings()).versions(tenant, program)}, print_programs)


@programs.command()
@tenant_option
@click.option("--program", required=True, type=click.Choice(PROGRAMS))
@click.argument("version")
@json_option
def use(tenant: str, program: str, version: str, as_json: bool) -> None:
    """Make VERSION live; `shipped` is the program that comes with Lakehop.

    Running gateways follow within five seconds.

    \b
    lakehop programs use --tenant acme --program multihop 7c0a807958aa
    """
    from infra.cli.render import print_record
    from lakehouse.state.programs import ProgramRegistry

    emit(as_json, ProgramRegistry(settings()).use(tenant, program, version), print_record)


@click.command("weights")
@questions_option
@tenant_option
@groups_option
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="JSON file to write.")
@json_option
def weights(questions: Path, tenant: str, groups: list[str], out: Path, as_json: bool) -> None:
    """Learn the weights of multi-hop search from questions with gold_ids; print recall before and after.

    LAKEHOP_MULTIHOP_WEIGHTS names the weights file that searches use.

    \b
    lakehop weights --questions questions.jsonl --tenant acme --groups staff --out weights.json
    """
    from infra.cli.render import print_record
    from infra.evaluation.weights import learn_weights

    emit(as_json, learn_weights(settings(), questions, tenant, groups, out, say), print_record)


@click.command("trace")
@click.argument("task_id")
@json_option
def trace_(task_id: str, as_json: bool) -> None:
    """Draw a task as a tree: sub-tasks, hops, calls with tokens, cost and time, and the critical path.

    Reads the spool and the lakehouse; a running task shows its steps so far.

    \b
    lakehop trace task_9f2c4e6a
    """
    from infra.cli.render_trace import print_trace
    from infra.evaluation.trace import trace

    emit(as_json, trace(settings(), task_id), print_trace)


COMMANDS = (evaluate, compile_, programs, weights, trace_)
