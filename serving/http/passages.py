"""The endpoint that shows a passage in its document."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query

from lakehouse.retrieval.whole_documents import surroundings
from serving.contract.access import caller_of
from serving.contract.passages import MAX_AROUND, PassageInDocument
from serving.http.responses import PROBLEM_RESPONSES
from serving.http.services import API_KEY, CallerKey, GatewayServices, Groups, Tenant

Around = Annotated[
    int,
    Query(ge=0, le=MAX_AROUND, description=f"Chunks of the document on each side, 0 to {MAX_AROUND}."),
]
router = APIRouter(dependencies=[API_KEY], responses=PROBLEM_RESPONSES, tags=["questions"])


@router.get("/passages/{chunk_id:path}", summary="Show a passage in its document")
async def get_passage(
    chunk_id: str,
    key: CallerKey,
    services: GatewayServices,
    around: Around = 1,
    tenant: Tenant = None,
    groups: Groups = None,
) -> PassageInDocument:
    """A passage that the caller may read, its place in its document, and the text before and after it.

    A passage that the caller may not read is the same 404 as one that does not exist.
    """
    caller = caller_of(key, tenant, groups, None)
    return PassageInDocument.of(await asyncio.to_thread(surroundings, services.settings, caller, chunk_id, around))
