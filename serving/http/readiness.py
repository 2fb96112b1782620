"""Readiness: probes all parts that a question needs, at the same time, within PROBE_TIMEOUT_S."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from lakehouse.errors import Unavailable

log = logging.getLogger("lakehop.gateway")

# Below the usual probe period of 10 s, above the 2 s of retries to a Milvus that refuses connections.
PROBE_TIMEOUT_S = 3.0

Probe = Callable[[], Awaitable[object]]


async def check_ready(probes: Mapping[str, Probe]) -> None:
    """Return when all parts answer. Raises Unavailable with the names of the other parts."""
    failures = await asyncio.gather(*(_failure(part, probe) for part, probe in probes.items()))
    down = [(part, why) for part, why in zip(probes, failures, strict=True) if why]
    if down:
        reasons = "; ".join(f"{part}: {why}" for part, why in down)
        raise Unavailable(
            ",".join(part for part, _ in down), f"not ready. {reasons}. `lakehop status` shows all parts."
        )


async def _failure(part: str, probe: Probe) -> str | None:
    try:
        await asyncio.wait_for(probe(), PROBE_TIMEOUT_S)
    except TimeoutError:
        return f"no answer within {PROBE_TIMEOUT_S:g} s"
    except Exception as error:
        log.info("probe of %s: %r", part, error)
        return "does not answer"  # no details: the request needs no key
    return None
