"""Circuit breakers: a tool that keeps failing is not called for a while, so that no task waits for it."""

import time
from dataclasses import dataclass

FAILURES = 3  # in a row: two are bad luck
AWAY_S = 30.0  # about what a restart of a small server takes


@dataclass
class _State:
    failures: int = 0
    open_until: float = 0.0


class Breakers:
    """One per process, used on one event loop. Counted by tenant: no tenant's calls close a tool to another."""

    def __init__(self) -> None:
        self._states: dict[tuple[str, str], _State] = {}

    def seconds_away(self, tenant_id: str, tool: str) -> float:
        """Seconds until the tool may be called again; 0 when it may be called now."""
        state = self._states.get((tenant_id, tool))
        return max(0.0, state.open_until - time.monotonic()) if state else 0.0

    def succeeded(self, tenant_id: str, tool: str) -> None:
        """Forget earlier faults."""
        self._states.pop((tenant_id, tool), None)

    def failed(self, tenant_id: str, tool: str) -> None:
        """Count a fault. After a pause one fault closes the tool again: its first call is a probe."""
        state = self._states.setdefault((tenant_id, tool), _State())
        state.failures += 1
        if state.failures >= FAILURES:
            state.open_until = time.monotonic() + AWAY_S
