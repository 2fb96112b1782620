"""Bringing the stack up and down, and telling how it is.

Parts start at the same time, because each spends most of its start importing; `ensure` returns once all are started
and `wait_for` once one of them serves, so that a caller ingests while vLLM still loads its model.
"""

import fcntl
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from infra.stack.parts import Part, local_part_names, stack_parts, thrift_part
from infra.stack.processes import Supervisor
from infra.stack.secret_files import ensure_operator_key
from lakehouse.errors import Unavailable
from lakehouse.settings import PREFIX, Settings

POLL_S = 0.5
Report = Callable[[str], None]


@dataclass(frozen=True)
class PartStatus:
    """How one part is. `state`: healthy, starting (it runs and does not serve yet), stopped, or unreachable (it runs
    elsewhere). `pids` and `rss_mb` are of the local processes; `reason` says why it is not healthy."""

    name: str
    state: str
    address: str
    local: bool
    pids: tuple[int, ...]
    rss_mb: int
    reason: str
    log: str


class Stack:
    """The stack of one `Settings`. `report` gets a line at each thing that a waiting user wants to know."""

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
        """Start the named parts (default: all of the stack) where they are local and not running; don't wait."""
        wanted = [self._part(name) for name in (names or self._parts)]
        with self._one_at_a_time(), ThreadPoolExecutor(max_workers=len(wanted)) as starters:
            for _ in starters.map(self._start, [part for part in wanted if part.name in self._local]):
                pass

    def wait_for(self, *names: str) -> None:
        """Return once the named parts serve (default: all of the stack), reporting each as it comes.

        Raises `Unavailable` at the first one that dies, that does not serve within its time, or that runs elsewhere
        and does not answer.
        """
        pending = [self._part(name) for name in (names or self._parts)]
        while pending := [part for part in pending if not self._serves(part)]:
            time.sleep(POLL_S)

    def down(self) -> list[str]:
        """Stop everything that this home started, children of dead parents too; return the names of what ran."""
        return self._supervisor.stop_all()

    def stop(self, name: str) -> bool:
        """Stop one part; True when it ran."""
        stopped = [self._supervisor.stop(process.name) for process in self._part(name).processes()]
        return any(stopped)

    def status(self) -> list[PartStatus]:
        """How each part is; parts on demand only when they run."""
        asked = [*self._parts.values(), *(part for part in self._on_demand.values() if self._pids(part))]
        with ThreadPoolExecutor(max_workers=len(asked)) as checkers:
            return list(checkers.map(self._status, asked))

    def address(self, name: str) -> str:
        """Where the part listens."""
        return self._part(name).address

    def _status(self, part: Part) -> PartStatus:
        local = part.name in self._local
        running = [self._supervisor.find(process.name) for process in part.processes()] if local else []
        alive = [process for process in running if process]
        reason = part.check() if alive or not local else "not running; `lakehop up` starts it"
        if len(alive) < len(running) and alive:
            dead = [p.name for p, found in zip(part.processes(), running, strict=True) if not found]
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

    def _start(self, part: Part) -> None:
        missing = [process for process in part.processes() if not self._supervisor.find(process.name)]
        if not missing:
            return
        self._started_at[part.name] = time.monotonic()
        part.prepare()
        for process in missing:
            self._supervisor.start(process)
        self._report(f"{part.name}: starting")

    def _serves(self, part: Part) -> bool:
        begun = self._started_at.get(part.name, self._built_at)
        reason = part.check()
        if not reason:
            took = f" after {time.monotonic() - begun:.0f} s" if part.name in self._started_at else ""
            self._report(f"{part.name}: serving at {part.address}{took}")
            return True
        if part.name not in self._local:
            raise Unavailable(
                part.name,
                f"{part.name} at {part.address} does not answer: {reason}. It runs elsewhere: start it there, "
                f"correct {part.setting}, or name it in LAKEHOP_LOCAL_PARTS.",
            )
        self._raise_if_dead(part)
        if time.monotonic() - begun > part.start_timeout_s:
            raise Unavailable(
                part.name,
                f"{part.name} runs and does not serve after {part.start_timeout_s:.0f} s: {reason}. "
                f"Log: {self._log(part)}. `lakehop down` and `lakehop up` start it anew.",
            )
        return False

    def _raise_if_dead(self, part: Part) -> None:
        for process in part.processes():
            if not self._supervisor.find(process.name):
                raise Unavailable(
                    part.name,
                    f"{process.name} is not running; the end of its log "
                    f"{self._supervisor.log_path(process.name)}:\n{self._supervisor.last_lines(process.name)}",
                )

    def _pids(self, part: Part) -> list[int]:
        return [found.pid for process in part.processes() if (found := self._supervisor.find(process.name))]

    def _log(self, part: Part) -> str:
        return ", ".join(str(self._supervisor.log_path(process.name)) for process in part.processes())

    def _part(self, name: str) -> Part:
        return (self._parts | self._on_demand)[name]

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Two `lakehop up` at once must not both start a part."""
        self._settings.home.mkdir(parents=True, exist_ok=True)
        with open(self._settings.home / "up.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def shown_settings(settings: Settings) -> dict[str, str]:
    """Every setting by its environment variable, secrets hidden."""
    return {PREFIX + name.upper(): str(getattr(settings, name)) for name in type(settings).model_fields}
