"""Two checkouts of Lakehop compared by what their users wait for: ingest, search, the agent step, the demo.

    python -m tests.benchmarks.checkouts --before ../old --after . [--documents 2000] [--rounds 7] [--demo]

Each checkout has its own `.venv` (`make venv`), home folder, Milvus and gateway; both run at the same time, and rounds
alternate between them. Only the command line, HTTP and the arguments of `spark_jobs/main.py` are used, so that any two
releases can be compared. It prints the ratio after/before: the median over rounds and its range. Ingests and demos
take minutes, so they run twice.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import httpx

from tests.benchmarks.agent_contestants import OURS
from tests.benchmarks.agent_overhead import Process, measured
from tests.benchmarks.growth import document
from tests.ports import free_port

BENCHMARKS = Path(__file__).parent
LONG_ROUNDS = 2
QUERIES = 40  # of one round
TENANT = "bench"


@dataclass(frozen=True)
class Checkout:
    """One checkout and its running stack."""

    folder: Path
    env: dict[str, str]
    gateway_url: str

    def python(self, *arguments: str) -> str:
        """Run the checkout's Python in its folder; return its standard output."""
        done = subprocess.run(
            [str(self.folder / ".venv/bin/python"), *arguments],
            cwd=self.folder, env=self.env, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return done.stdout

    def lakehop(self, *arguments: str) -> str:
        """Run a command of its command line."""
        return self.python("-c", "from importlib.metadata import entry_points as e; e(group='console_scripts')["
                           "'lakehop'].load()()", *arguments)  # fmt: skip


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Checkout]:
    """The checkout with a Milvus and a gateway of its own."""
    ports = {name: free_port() for name in ("MILVUS_URI", "GATEWAY_URL", "LLM_BASE_URL")}
    with tempfile.TemporaryDirectory() as home:
        env = os.environ | {f"LAKEHOP_{name}": f"http://127.0.0.1:{port}" for name, port in ports.items()}
        env |= {"LAKEHOP_HOME": home, "LAKEHOP_LOCAL_PARTS": "milvus,gateway", "PYTHONPATH": str(folder)}
        checkout = Checkout(folder.resolve(), env, env["LAKEHOP_GATEWAY_URL"])
        # Up waits for the parts on this machine; the model is not needed here.
        with contextlib.suppress(subprocess.CalledProcessError):
            checkout.lakehop("up", "--json")
        try:
            yield checkout
        finally:
            checkout.lakehop("down", "--json")


def ingest_seconds(checkout: Checkout, corpus: Path, number: int) -> float:
    """Seconds of both Spark jobs of an ingest, JVM starts included, into a tenant of its own."""
    steps = json.loads(
        checkout.python("-c", "import json; from spark_jobs.main import INGEST_STEPS; print(json.dumps(INGEST_STEPS))")
    )
    jobs = [step for step in steps if step.endswith("_documents")], [s for s in steps if not s.endswith("_documents")]
    begun = time.monotonic()
    for job in jobs:
        tenant = TENANT if number == 0 else f"{TENANT}{number}"
        checkout.python("spark_jobs/main.py", *job, f"--run-id=r{number}", f"--tenant={tenant}", "--source=corpus",
                        f"--path={corpus}", "--groups=staff")  # fmt: skip
    return time.monotonic() - begun


def search_p50_ms(checkout: Checkout, key: str, mode: str) -> float:
    """The median of some searches over HTTP, milliseconds."""
    with httpx.Client(base_url=checkout.gateway_url, headers={"Authorization": f"Bearer {key}"}) as http:
        took = []
        for number in range(QUERIES):
            body = {"question": f"Which document names {document(number * 7, 0, 2_000)['title']}?", "mode": mode}
            begun = time.perf_counter()
            http.post("/search", json=body, timeout=60).raise_for_status()
            took.append((time.perf_counter() - begun) * 1000)
    return statistics.median(took)


class AgentStep:
    """The agent of `tests.benchmarks.agent_overhead` in each checkout, with one scripted model for both."""

    def __init__(self, stack: contextlib.ExitStack, checkouts: Sequence[Checkout]) -> None:
        root = {"PYTHONPATH": str(checkouts[-1].folder)}
        model = _answering(stack, [sys.executable, "-P", str(BENCHMARKS / "agent_model.py")], root)
        self._url = f"http://127.0.0.1:{model.first_line}/v1"
        self._agents = {}
        for checkout in checkouts:
            place = stack.enter_context(tempfile.TemporaryDirectory())
            script = checkout.folder / "tests/benchmarks/agent_contestants.py"
            command = [str(checkout.folder / ".venv/bin/python"), "-P", str(script), OURS, self._url, place]
            self._agents[checkout.folder] = _answering(stack, command, {"PYTHONPATH": str(checkout.folder)})
            measured(self._agents[checkout.folder], self._url, 2)  # the first task loads and compiles

    def ms(self, checkout: Checkout) -> float:
        """Milliseconds per step outside the model and the tool, HTTP client included."""
        return measured(self._agents[checkout.folder], self._url, 5).with_client_ms()


def _answering(stack: contextlib.ExitStack, command: list[str], env: dict[str, str]) -> Process:
    return Process(stack, command, {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | env)


def demo_seconds(checkout: Checkout) -> float:
    """Wall time of `make demo`; the ports of the default settings must be free."""
    begun = time.monotonic()
    for target in ("demo", "down"):
        subprocess.run(["make", target], cwd=checkout.folder, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begun


def compare(
    name: str, rounds: int, measure: Callable[[Checkout, int], float], before: Checkout, after: Checkout
) -> None:
    """Alternate the checkouts and print the ratio."""
    pairs = []
    for number in range(rounds):
        order = (before, after) if number % 2 == 0 else (after, before)
        took = {id(checkout): measure(checkout, number) for checkout in order}
        pairs.append((took[id(before)], took[id(after)]))
    ratios = [new / old for old, new in pairs]
    medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
    print(
        f"{name}: after/before {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f}, {rounds} rounds); "
        f"before {medians[0]:.1f}, after {medians[1]:.1f}",
        flush=True,
    )


@click.command()
@click.option("--before", required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--after", required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--documents", default=2_000, help="Small documents to ingest.")
@click.option("--rounds", default=7)
@click.option("--demo", is_flag=True, help="Time `make demo` as well.")
def main(before: Path, after: Path, documents: int, rounds: int, demo: bool) -> None:
    """Print a line a measure."""
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} CPUs", flush=True)
    with tempfile.TemporaryDirectory() as folder, running(before) as old, running(after) as new:
        corpus = Path(folder) / "corpus.jsonl"
        corpus.write_text("".join(json.dumps(document(number, 0, documents)) + "\n" for number in range(documents)))
        compare(f"ingest of {documents} documents, s", LONG_ROUNDS, lambda c, n: ingest_seconds(c, corpus, n), old, new)
        keys = {
            id(c): json.loads(c.lakehop("keys", "create", f"--tenant={TENANT}", "--groups=staff", "--app=b", "--json"))
            for c in (old, new)
        }
        for mode in ("hybrid", "multihop"):
            compare(
                f"search {mode}, p50 ms", rounds, lambda c, n, m=mode: search_p50_ms(c, keys[id(c)]["key"], m), old, new
            )
    stopped = [Checkout(c.folder, dict(os.environ), "") for c in (old, new)]
    with contextlib.ExitStack() as stack:
        step = AgentStep(stack, stopped)
        compare("agent step without durability, ms", rounds, lambda c, n: step.ms(c), *stopped)
    if demo:
        compare("make demo, s", LONG_ROUNDS, lambda c, n: demo_seconds(c), *stopped)


if __name__ == "__main__":
    main()
