"""Endpoints of the memory that an app keeps for each of its users."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query

from lakehouse.state.memory import Owner
from serving.contract.access import caller_of
from serving.contract.bodies import ForgottenEntries, MemoryEntry, MemoryList, NoteBody, RewriteBody
from serving.http.responses import PROBLEM, PROBLEM_RESPONSES
from serving.http.services import API_KEY, CallerKey, GatewayServices

User = Annotated[str, Query(min_length=1, max_length=256, description="Whose memory, as the app knows them.")]
Tenant = Annotated[str | None, Query(description="For operator keys: on whose behalf.")]
Groups = Annotated[list[str] | None, Query(max_length=1_000, description="Groups of the user; left out: the key's.")]
router = APIRouter(dependencies=[API_KEY], responses=PROBLEM_RESPONSES, tags=["memory"])


@router.get("/memory", summary="What is remembered for a user")
async def list_memory(
    key: CallerKey, services: GatewayServices, user: User, tenant: Tenant = None, groups: Groups = None
) -> MemoryList:
    """What is remembered for a user of this app and may be read now, newest first."""
    caller = caller_of(key, tenant, groups, user)
    entries = await asyncio.to_thread(services.memories.entries, Owner.of(caller), caller.groups)
    return MemoryList(entries=[MemoryEntry.model_validate(entry, from_attributes=True) for entry in entries])


@router.post("/memory", summary="Remember something", status_code=201)
async def remember(body: NoteBody, key: CallerKey, services: GatewayServices) -> MemoryEntry:
    """Remember the user's own words; every gateway knows them when this returns."""
    owner = Owner.of(caller_of(key, body.tenant, None, body.user))
    entry = await asyncio.to_thread(services.memories.note, owner, body.text)
    return MemoryEntry.model_validate(entry, from_attributes=True)


@router.put(
    "/memory/{memory_id}", summary="Write it anew", responses={409: PROBLEM | {"description": "It was written since"}}
)
async def rewrite(memory_id: str, body: RewriteBody, key: CallerKey, services: GatewayServices) -> MemoryEntry:
    """Put other words in place of a note; refused where somebody did since `read_version` was read."""
    owner = Owner.of(caller_of(key, body.tenant, None, body.user))
    entry = await asyncio.to_thread(services.memories.rewrite, owner, memory_id, body.text, body.read_version)
    return MemoryEntry.model_validate(entry, from_attributes=True)


@router.delete("/memory/{memory_id}", summary="Forget one thing")
async def forget_one(
    memory_id: str, key: CallerKey, services: GatewayServices, user: User, tenant: Tenant = None
) -> ForgottenEntries:
    """Forget an entry for good: its row, the files that held it, and then all that is left is read for it."""
    owner = Owner.of(caller_of(key, tenant, None, user))
    forgotten = await asyncio.to_thread(services.memories.forget, owner, memory_id)
    return ForgottenEntries.model_validate(forgotten, from_attributes=True)


@router.delete("/memory", summary="Forget a user")
async def forget_all(key: CallerKey, services: GatewayServices, user: User, tenant: Tenant = None) -> ForgottenEntries:
    """Forget all that this app has remembered for a user, in the same way."""
    owner = Owner.of(caller_of(key, tenant, None, user))
    forgotten = await asyncio.to_thread(services.memories.forget, owner)
    return ForgottenEntries.model_validate(forgotten, from_attributes=True)
