"""Endpoints of an app's memories of its users."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query

from lakehouse.state.memory import Owner
from serving.contract.access import caller_of
from serving.contract.bodies import ForgottenEntries, MemoryEntry, MemoryList, NoteBody, RewriteBody
from serving.http.responses import PROBLEM, PROBLEM_RESPONSES
from serving.http.services import API_KEY, CallerKey, GatewayServices, Groups, Tenant

User = Annotated[str, Query(min_length=1, max_length=256, description="The user, by the app's id.")]
router = APIRouter(dependencies=[API_KEY], responses=PROBLEM_RESPONSES, tags=["memory"])


@router.get("/memory", summary="List a user's memories")
async def list_memory(
    key: CallerKey, services: GatewayServices, user: User, tenant: Tenant = None, groups: Groups = None
) -> MemoryList:
    """The memories of a user of this app that the caller may read now, newest first."""
    caller = caller_of(key, tenant, groups, user)
    entries = await asyncio.to_thread(services.memories.entries, Owner.of(caller), caller.groups)
    return MemoryList(entries=[MemoryEntry.model_validate(entry, from_attributes=True) for entry in entries])


@router.post("/memory", summary="Remember a note", status_code=201)
async def remember(body: NoteBody, key: CallerKey, services: GatewayServices) -> MemoryEntry:
    """Remember a user's note; every gateway has it when this returns."""
    owner = Owner.of(caller_of(key, body.tenant, None, body.user))
    entry = await asyncio.to_thread(services.memories.note, owner, body.text)
    return MemoryEntry.model_validate(entry, from_attributes=True)


@router.put(
    "/memory/{memory_id}",
    summary="Rewrite a note",
    responses={409: PROBLEM | {"description": "The note has changed since `read_version`"}},
)
async def rewrite(memory_id: str, body: RewriteBody, key: CallerKey, services: GatewayServices) -> MemoryEntry:
    """Replace the text of a note; refused if the note has changed since `read_version`."""
    owner = Owner.of(caller_of(key, body.tenant, None, body.user))
    entry = await asyncio.to_thread(services.memories.rewrite, owner, memory_id, body.text, body.read_version)
    return MemoryEntry.model_validate(entry, from_attributes=True)


@router.delete("/memory/{memory_id}", summary="Forget a memory")
async def forget_one(
    memory_id: str, key: CallerKey, services: GatewayServices, user: User, tenant: Tenant = None
) -> ForgottenEntries:
    """Forget a memory for good: delete its row and the files that held it, then read all remaining files for it."""
    owner = Owner.of(caller_of(key, tenant, None, user))
    forgotten = await asyncio.to_thread(services.memories.forget, owner, memory_id)
    return ForgottenEntries.model_validate(forgotten, from_attributes=True)


@router.delete("/memory", summary="Forget a user")
async def forget_all(key: CallerKey, services: GatewayServices, user: User, tenant: Tenant = None) -> ForgottenEntries:
    """Forget all memories that this app has of a user, in the same way."""
    owner = Owner.of(caller_of(key, tenant, None, user))
    forgotten = await asyncio.to_thread(services.memories.forget, owner)
    return ForgottenEntries.model_validate(forgotten, from_attributes=True)
