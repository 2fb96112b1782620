"""The endpoint that shows a key's spend."""

import asyncio
from datetime import UTC, datetime

from fastapi import APIRouter

from lakehouse.access.ledger import next_day
from serving.contract.bodies import UsageToday
from serving.http.responses import PROBLEM_RESPONSES
from serving.http.services import API_KEY, CallerKey, GatewayServices

router = APIRouter(dependencies=[API_KEY], responses=PROBLEM_RESPONSES, tags=["questions"])


@router.get("/usage", summary="This key's spend today")
async def usage(key: CallerKey, services: GatewayServices) -> UsageToday:
    """The key's spend today (UTC) and its cap."""
    spend = await asyncio.to_thread(services.ledger.today, key.key_id)
    return UsageToday(
        key_id=key.key_id,
        app=key.app,
        tenant=key.tenant_id,
        groups=list(key.groups),
        day=spend.day,
        spent_usd=f"{spend.spent_usd:f}",
        reserved_usd=f"{spend.reserved_usd:f}",
        daily_usd=None if spend.daily_usd is None else f"{spend.daily_usd:f}",
        resets_at=next_day(datetime.now(UTC)).isoformat(),
    )
