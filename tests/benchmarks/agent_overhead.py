"""What a step of an agent costs outside model and tools, ours beside LangGraph and the OpenAI Agents SDK, in one run.

    .venv-bench/bin/python -m tests.benchmarks.agent_overhead

A step is a model call or a tool call; a task is 15 of them for all. All talk to one scripted model over HTTP and call
one function; both say how long they took, and that is taken off the wall time. What is left is each program's own work
and its HTTP client's. In the first column the client is left in. In the second, a call as httpx alone makes it is taken
off for each call, measured in the same round, for a program cannot do without that: this is the figure that goals are
set for. What a contestant's own client costs beyond httpx stays in both. The third is processor time, less that of bare
calls: it knows nothing of waiting for a disk or a thread, and hardly anything of what else the machine does.

Rounds are interleaved, each in another order; every contestant is a process of its own and waits idle for its turn.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Sequence
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
    """What a contestant took for one task, on average over a round, in seconds."""

    wall: float
    cpu: float
    model: float
    tool: float
    calls: float

    def with_client_ms(self) -> float:
        """A step outside the model's process and the tool's function."""
        return 1000 * (self.wall - self.model - self.tool) / STEPS

    def own_ms(self, bare: "Round") -> float:
        """The same without what bare calls of that endpoint take."""
        client = (bare.wall - bare.model) / bare.calls
        return self.with_client_ms() - 1000 * client * self.calls / STEPS

    def cpu_ms(self, bare: "Round") -> float:
        """Processor time of a step, without that of bare calls and of the tool."""
        return 1000 * (self.cpu - self.tool - bare.cpu / bare.calls * self.calls) / STEPS


class Process:
    """A script that answers a line with a line."""

    def __init__(self, stack: ExitStack, *arguments: str, root: bool = True) -> None:
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        if root:
            env["PYTHONPATH"] = str(HERE.parents[1])
        script, *rest = arguments
        command = [sys.executable, "-P", str(HERE / script), *rest]  # -P: no folder of ours is searched for packages
        pipe = subprocess.PIPE
        self._process = stack.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=env))
        stack.callback(self._process.stdin.close)  # type: ignore[union-attr]  it is a pipe
        self.first_line = self._line()

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
    """One round of a contestant, and what the model says that it took."""
    _spent(url)
    took = process.ask(tasks)
    model = _spent(url)
    sums = {name: seconds / tasks for name, seconds in took.items()}
    return Round(model=model["seconds"] / tasks, calls=model["calls"] / tasks, **sums)


def _spent(url: str) -> dict[str, float]:
    with urllib.request.urlopen(url, timeout=10) as response:
        return dict(json.load(response))


def shown(values: Sequence[float]) -> str:
    """Median and range, `1.84 (1.79 to 2.02)`."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def tell(taken: dict[str, list[Round]]) -> None:
    """A line a contestant; the last column is how many times ours it takes, round by round."""
    columns = ("ms a step, with HTTP client", "ms a step", "times ours", "processor ms a step", "times ours")
    print(" " * 32 + "".join(f"{column:28}" for column in columns))
    ours = list(zip(taken[OURS], taken[BARE], strict=True))
    for name, rounds in taken.items():
        pairs = list(zip(rounds, taken[BARE], strict=True))
        own, cpu = ([of(one, bare) for one, bare in pairs] for of in (Round.own_ms, Round.cpu_ms))
        cells = [[one.with_client_ms() for one in rounds], own, _ratios(own, [Round.own_ms(*pair) for pair in ours])]
        cells += [cpu, _ratios(cpu, [Round.cpu_ms(*pair) for pair in ours])]
        print(f"{name:32}" + "".join(f"{shown(cell):28}" for cell in cells))
    model = [1000 * one.model / one.calls for rounds in taken.values() for one in rounds]
    print(f"the model takes {shown(model)} ms a call, which is in none of these")


def _ratios(theirs: Sequence[float], ours: Sequence[float]) -> list[float]:
    return [one / other for one, other in zip(theirs, ours, strict=True)]


@click.command()
@click.option("--rounds", default=15, show_default=True)
@click.option("--tasks", default=5, show_default=True, help="In a round.")
def main(rounds: int, tasks: int) -> None:
    """Print milliseconds of a step: median and range of the rounds."""
    print(", ".join(f"{name} {version(name)}" for name in PACKAGES), flush=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = f"http://127.0.0.1:{Process(stack, 'agent_model.py').first_line}/v1"
        processes = {}
        for number, name in enumerate(CONTESTANTS):
            (place := folder / str(number)).mkdir()
            arguments = ("agent_contestants.py", name, url, str(place))
            processes[name] = Process(stack, *arguments, root=name.startswith("Lakehop"))
        for name, process in processes.items():  # the first task of a process loads and compiles
            measured(process, url, 2)
            print(f"ready: {name}", flush=True)
        taken: dict[str, list[Round]] = {name: [] for name in processes}
        for _ in range(rounds):
            for name in random.sample(list(processes), len(processes)):
                taken[name].append(measured(processes[name], url, tasks))
    tell(taken)


if __name__ == "__main__":
    main()
