"""Starts and stops the stack, waits until its parts serve, and reports their state.

Parts start at the same time, because each spends most of its start importing. `ensure` returns once all have started
and `wait_for` once the named ones serve, so that a caller can ingest while vLLM still loads its model.
"""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from filelock import FileLock

from infra.stack.parts import StackPart, local_part_names, stack_parts, thrift_part
from infra.stack.processes import Supervisor
from infra.stack.secret_files import ensure_operator_key
from lakehouse.errors import Unavailable
from lakehouse.settings import PREFIX, Settings

POLL_S = 0.5
Report = Callable[[str], None]


@dataclass(frozen=True)
class PartStatus:
    """The state of one part.

    `state`: healthy, starting (it runs and does not serve yet), stopped, or unreachable (it runs elsewhere). `pids` and
    `rss_mb` (MiB) belong to the local processes; `reason` says why the part is not healthy.
    """

    name: str
    state: str
    address: str
    local: bool
    pids: tuple[int, ...]
    rss_mb: int
    reason: str
    log: str


class Stack:
    """The stack of one `Settings`. `report` gets a line at each event that a waiting user wants to see."""

    def __init__(self, settings: Settings, report: Report = lambda line: None) -> None:
        self._settings = settings
        self._report = report
        self._supervisor = Supervisor(settings.home)
        self._parts = stack_parts(settings)
        self._on_demand = {"thrift": thrift_part(settings)}
        self._local = {*local_part_names(settings), *self._on_demand}
        self._built_at = time.monotonic()
        self._started_at: dict[str, float] = {}

    def prepare(self) -> None:
        """Create the tables and the operator key where they are missing."""
        from lakehouse.storage.delta import ensure_tables

        self._settings.home.mkdir(parents=True, exist_ok=True)
        ensure_tables(self._settings)
        ensure_operator_key(self._settings)

    def ensure(self, names: Iterable[str] | None = None) -> None:
        """Start the named local parts (default: all) that do not run; return without waiting for them."""
        parts = [self._part(name) for name in (names or self._parts)]
        self._settings.home.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._settings.home / "up.lock")  # two `lakehop up` at once must not both start a part
        with lock, ThreadPoolExecutor(max_workers=len(parts)) as starters:
            list(starters.map(self._start, [part for part in parts if part.name in self._local]))

    def wait_for(self, *names: str) -> None:
        """Return once the named parts (default: all) serve; report each part when it does.

        Raises `Unavailable` at the first part that dies, that does not serve within its `start_timeout_s`, or that
        runs elsewhere and does not answer.
        """
        pending = [self._part(name) for name in (names or self._parts)]
        while pending := [part for part in pending if not self._serves(part)]:
            time.sleep(POLL_S)

    def down(self) -> list[str]:
        """Stop all processes that this home started, also children of dead parts; return the processes' names."""
        return self._supervisor.stop_all()

    def stop(self, name: str) -> bool:
        """Stop one part; True when it ran."""
        stopped = [self._supervisor.stop(process.name) for process in self._part(name).processes()]
        return any(stopped)

    def status(self) -> list[PartStatus]:
        """The state of each part; parts on demand only when they run."""
        parts = [*self._parts.values(), *(part for part in self._on_demand.values() if self._runs(part))]
        with ThreadPoolExecutor(max_workers=len(parts)) as checkers:
            return list(checkers.map(self._status, parts))

    def address(self, name: str) -> str:
        """The URL at which the part listens."""
        return self._part(name).address

    def _status(self, part: StackPart) -> PartStatus:
        local = part.name in self._local
        expected = part.processes() if local else ()
        running = {process.name: self._supervisor.find(process.name) for process in expected}
        alive = [process for process in running.values() if process]
        reason = part.check() if alive or not local else "not running; `lakehop up` starts it"
        if len(alive) < len(running) and alive:
            dead = [name for name, process in running.items() if not process]
            reason = f"not running: {', '.join(dead)}; `lakehop up` restarts it"
        if not reason:
            state = "healthy"
        elif not local:
            state = "unreachable"
        else:
            state = "starting" if alive else "stopped"
        return PartStatus(
            name=part.name,
            state=state,
            address=part.address,
            local=local,
            pids=tuple(process.pid for process in alive),
            rss_mb=sum(process.rss for process in alive) >> 20,
            reason=reason,
            log=self._log(part) if local else "",
        )

    def _start(self, part: StackPart) -> None:
        missing = [process for process in part.processes() if not self._supervisor.find(process.name)]
        if not missing:
            return
        self._started_at[part.name] = time.monotonic()
        part.prepare()
        for process in missing:
            self._supervisor.start(process)
        self._report(f"{part.name}: starting")

    def _serves(self, part: StackPart) -> bool:
        began = self._started_at.get(part.name, self._built_at)
        reason = part.check()
        if not reason:
            took = f" after {time.monotonic() - began:.0f} s" if part.name in self._started_at else ""
            self._report(f"{part.name}: serving at {part.address}{took}")
            return True
        if part.name not in self._local:
            raise Unavailable(
                part.name,
                f"{part.name} at {part.address} does not answer: {reason}. It runs elsewhere: start it there, "
                f"correct {part.setting}, or name it in LAKEHOP_LOCAL_PARTS.",
            )
        self._raise_if_dead(part)
        if time.monotonic() - began > part.start_timeout_s:
            raise Unavailable(
                part.name,
                f"{part.name} runs and does not serve after {part.start_timeout_s:.0f} s: {reason}. "
                f"Log: {self._log(part)}. Restart it: `lakehop down`, then `lakehop up`.",
            )
        return False

    def _raise_if_dead(self, part: StackPart) -> None:
        for process in part.processes():
            if not self._supervisor.find(process.name):
                raise Unavailable(
                    part.name,
                    f"{process.name} is not running; the end of its log "
                    f"{self._supervisor.log_path(process.name)}:\n{self._supervisor.last_lines(process.name)}",
                )

    def _runs(self, part: StackPart) -> bool:
        return any(self._supervisor.find(process.name) for process in part.processes())

    def _log(self, part: StackPart) -> str:
        return ", ".join(str(self._supervisor.log_path(process.name)) for process in part.processes())

    def _part(self, name: str) -> StackPart:
        return (self._parts | self._on_demand)[name]


def visible_settings(settings: Settings) -> dict[str, str]:
    """Every setting by its environment variable, secrets hidden."""
    return {PREFIX + name.upper(): str(getattr(settings, name)) for name in type(settings).model_fields}
