"""What every router needs: the gateway's services, and the API key of the caller."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request
from fastapi.security import HTTPBearer

from lakehouse.access.ledger import Key, Ledger
from lakehouse.settings import Settings
from lakehouse.state.memory import Memories
from serving.contract.access import authenticate
from serving.contract.metrics import Metrics
from serving.http.readiness import Probe
from serving.tasks.durable import DurableTasks
from serving.tasks.idempotency import StoredAnswers
from serving.tasks.paid import Tasks


@dataclass(frozen=True)
class Services:
    """The objects that the endpoints call; built once, when the gateway starts."""

    settings: Settings
    ledger: Ledger
    answers: StoredAnswers
    memories: Memories
    tasks: Tasks
    durable: DurableTasks
    metrics: Metrics
    probes: Mapping[str, Probe]


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


GatewayServices = Annotated[Services, Depends(_services)]


async def _caller_key(request: Request, services: GatewayServices) -> Key:
    # In a thread: another request may hold the ledger's lock for the length of an fsync.
    return await asyncio.to_thread(authenticate, services.ledger, request.headers.get("authorization"))


CallerKey = Annotated[Key, Depends(_caller_key)]
Tenant = Annotated[str | None, Query(description="For operator keys: the tenant to act for.")]
Groups = Annotated[
    list[str] | None, Query(max_length=1_000, description="Groups of the user; default: the key's groups.")
]
API_KEY = Depends(HTTPBearer(auto_error=False, description="An API key, `lh_…`; `lakehop keys create` creates a key."))
"""Declares the key in the OpenAPI document; `CallerKey` checks it."""
