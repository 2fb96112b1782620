"""The endpoint that finds passages."""

from fastapi import APIRouter

from serving.contract.bodies import FoundPassage, SearchAnswer, SearchBody
from serving.http.responses import PROBLEM_RESPONSES
from serving.http.services import API_KEY, CallerKey, GatewayServices

router = APIRouter(dependencies=[API_KEY], responses=PROBLEM_RESPONSES, tags=["questions"])


@router.post("/search", summary="Find passages")
async def search(body: SearchBody, key: CallerKey, services: GatewayServices) -> SearchAnswer:
    """Find the documents that the asker may read, best first, each by its best passage.

    No model call, unless the reranker is a model.
    """
    result = await services.tasks.search(key, body)
    passages = [FoundPassage.model_validate(passage, from_attributes=True) for passage in result.results]
    return SearchAnswer(
        results=passages,
        next_page_token=result.next_page_token,
        took_ms=result.took_ms,
        task_id=result.task_id,
        usage=result.usage,
    )
