"""The overhead of an agent's step outside model and tools: ours, LangGraph and the OpenAI Agents SDK in one run.

    .venv-bench/bin/python -m tests.benchmarks.agent_overhead

A step is a model call or a tool call; every task has 15. All call one scripted model over HTTP and one function; both
report their own time, which is subtracted from the wall time. The rest is the program's own work and its HTTP client's.
The first column includes the client. The second subtracts a bare httpx call, measured in the same round, for each model
call, because no program can do without it: goals are set for this figure. The cost of a contestant's own client beyond
httpx stays in both. The third is processor time without bare calls: it excludes waiting for a disk or a thread, and
nearly all other work on the machine.

Rounds are interleaved, each in another order; every contestant is a process of its own and idles between its turns.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from tests.benchmarks.agent_contestants import BARE, CONTESTANTS, OURS, STEPS

HERE = Path(__file__).parent
PACKAGES = ("dspy", "httpx", "openai", "langgraph", "langgraph-checkpoint-sqlite", "langchain-openai", "openai-agents")


@dataclass(frozen=True)
class Round:
    """Seconds of a contestant for one task, averaged over a round; `calls`: model calls per task."""

    wall: float
    cpu: float
    model: float
    tool: float
    calls: float

    def with_client_ms(self) -> float:
        """Milliseconds per step outside the model's process and the tool's function."""
        return 1000 * (self.wall - self.model - self.tool) / STEPS

    def own_ms(self, bare: "Round") -> float:
        """The same without the time of bare HTTP calls."""
        client = (bare.wall - bare.model) / bare.calls
        return self.with_client_ms() - 1000 * client * self.calls / STEPS

    def cpu_ms(self, bare: "Round") -> float:
        """Processor milliseconds per step, without bare calls and the tool."""
        return 1000 * (self.cpu - self.tool - bare.cpu / bare.calls * self.calls) / STEPS


class Process:
    """A script that answers each line with a line of JSON."""

    def __init__(self, stack: ExitStack, command: Sequence[str], env: Mapping[str, str]) -> None:
        pipe = subprocess.PIPE
        self._process = stack.enter_context(
            subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=dict(env))
        )
        stack.callback(self._process.stdin.close)  # type: ignore[union-attr]  it is a pipe
        self.first_line = self._line()

    @classmethod
    def of_script(cls, stack: ExitStack, script: str, *arguments: str, root: bool = True) -> "Process":
        """A script of this folder; `root`: it may import Lakehop."""
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        if root:
            env["PYTHONPATH"] = str(HERE.parents[1])
        # -P: the script's folder is not searched for packages
        return cls(stack, [sys.executable, "-P", str(HERE / script), *arguments], env)

    def ask(self, line: object) -> Any:
        assert self._process.stdin
        print(line, file=self._process.stdin, flush=True)
        return json.loads(self._line())

    def _line(self) -> str:
        assert self._process.stdout
        if line := self._process.stdout.readline():
            return line.strip()
        raise RuntimeError(f"{self._process.args!r} ended with {self._process.wait()}")


def measured(process: Process, url: str, tasks: int) -> Round:
    """Run one round of a contestant; the model's time is its own report."""
    _spent(url)
    took = process.ask(tasks)
    model = _spent(url)
    sums = {name: seconds / tasks for name, seconds in took.items()}
    return Round(model=model["seconds"] / tasks, calls=model["calls"] / tasks, **sums)


def _spent(url: str) -> dict[str, float]:
    with urllib.request.urlopen(url, timeout=10) as response:
        return dict(json.load(response))


def median_and_range(values: Sequence[float]) -> str:
    """Median and range, `1.84 (1.79 to 2.02)`."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def print_table(rounds_by_name: dict[str, list[Round]]) -> None:
    """Print a line per contestant; ratios to ours are formed round by round."""
    columns = ("ms a step, with HTTP client", "ms a step", "times ours", "processor ms a step", "times ours")
    print(" " * 32 + "".join(f"{column:28}" for column in columns))
    ours = list(zip(rounds_by_name[OURS], rounds_by_name[BARE], strict=True))
    for name, rounds in rounds_by_name.items():
        pairs = list(zip(rounds, rounds_by_name[BARE], strict=True))
        own, cpu = ([figure(*pair) for pair in pairs] for figure in (Round.own_ms, Round.cpu_ms))
        cells = [[each.with_client_ms() for each in rounds], own, _ratios(own, [Round.own_ms(*pair) for pair in ours])]
        cells += [cpu, _ratios(cpu, [Round.cpu_ms(*pair) for pair in ours])]
        print(f"{name:32}" + "".join(f"{median_and_range(cell):28}" for cell in cells))
    model = [1000 * each.model / each.calls for rounds in rounds_by_name.values() for each in rounds]
    print(f"the model takes {median_and_range(model)} ms a call, which no figure includes")


def _ratios(theirs: Sequence[float], ours: Sequence[float]) -> list[float]:
    return [their / our for their, our in zip(theirs, ours, strict=True)]


@click.command()
@click.option("--rounds", default=15, show_default=True)
@click.option("--tasks", default=5, show_default=True, help="Tasks in a round.")
def main(rounds: int, tasks: int) -> None:
    """Print milliseconds per step: median and range of the rounds."""
    print(", ".join(f"{name} {version(name)}" for name in PACKAGES), flush=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = f"http://127.0.0.1:{Process.of_script(stack, 'agent_model.py').first_line}/v1"
        processes = {}
        for number, name in enumerate(CONTESTANTS):
            (place := folder / str(number)).mkdir()
            arguments = ("agent_contestants.py", name, url, str(place))
            processes[name] = Process.of_script(stack, *arguments, root=name.startswith("Lakehop"))
        for name, process in processes.items():  # the first task of a process loads and compiles
            measured(process, url, 2)
            print(f"ready: {name}", flush=True)
        rounds_by_name: dict[str, list[Round]] = {name: [] for name in processes}
        for _ in range(rounds):
            for name in random.sample(list(processes), len(processes)):
                rounds_by_name[name].append(measured(processes[name], url, tasks))
    print_table(rounds_by_name)


if __name__ == "__main__":
    main()
