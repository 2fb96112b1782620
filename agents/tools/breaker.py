"""Circuit breakers: a tool that keeps failing is left alone for a while, so that tasks need not wait for it in turn."""

import time
from dataclasses import dataclass

FAILURES = 3  # one after the other: two are bad luck
AWAY_S = 30.0  # about what a restart of a small server takes


@dataclass
class _State:
    failures: int = 0
    open_until: float = 0.0


class Breakers:
    """One a process, used on one event loop. Kept by tenant: what one tenant asks for closes no tool to another."""

    def __init__(self) -> None:
        self._states: dict[tuple[str, str], _State] = {}

    def seconds_away(self, tenant_id: str, tool: str) -> float:
        """How long the tool stays away; 0 when it may be called."""
        state = self._states.get((tenant_id, tool))
        return max(0.0, state.open_until - time.monotonic()) if state else 0.0

    def succeeded(self, tenant_id: str, tool: str) -> None:
        """Forget what went wrong before."""
        self._states.pop((tenant_id, tool), None)

    def failed(self, tenant_id: str, tool: str) -> None:
        """Count a fault. Once a tool was away, one more is enough: its first call after that is a probe."""
        state = self._states.setdefault((tenant_id, tool), _State())
        state.failures += 1
        if state.failures >= FAILURES:
            state.open_until = time.monotonic() + AWAY_S
