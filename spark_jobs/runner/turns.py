"""The order in which runs of one tenant write: of two runs of one source the later must win.

A run whose tenant has a writer already is told when to ask again, and its slot in Airflow is free until then. Runs get
their turn in the order in which they first asked.
"""

import threading
import time

FIRST_WAIT_S = 10
MAX_WAIT_S = 300
_PATIENCE_S = 60.0  # a run that is so late has ended: killed, or its task was cleared


class Turns:
    """Who waits for each tenant; safe to share between threads."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._deadlines: dict[str, dict[str, float]] = {}

    def wait_s(self, tenant_id: str, run_id: str) -> int:
        """0 if no other run waits before this one, else after how many seconds it asks again."""
        with self._changing:
            now = time.monotonic()
            waiting = {run: at for run, at in self._deadlines.get(tenant_id, {}).items() if at > now or run == run_id}
            position = list(waiting).index(run_id) if run_id in waiting else len(waiting)
            again = wait_at(position)
            self._deadlines[tenant_id] = waiting | {run_id: now + again + _PATIENCE_S}
            return again if position else 0

    def end(self, tenant_id: str, run_id: str) -> None:
        """The run has had its turn."""
        with self._changing:
            self._deadlines.get(tenant_id, {}).pop(run_id, None)


def wait_at(position: int) -> int:
    """Seconds until a run asks again; those far behind ask seldom, because each time costs a process."""
    return min(MAX_WAIT_S, FIRST_WAIT_S * (position + 1) ** 2)
