"""Endpoints of durable tasks: submit a question, come back for its answer."""

from typing import Annotated

from fastapi import APIRouter, Header, Response

from serving.contract.bodies import AskBody
from serving.http.responses import PROBLEM_RESPONSES
from serving.http.services import API_KEY, CallerKey, GatewayServices
from serving.tasks.durable import TaskView

router = APIRouter(dependencies=[API_KEY], responses=PROBLEM_RESPONSES, tags=["questions"])


@router.post("/tasks", summary="Hand in a question", status_code=202)
async def submit_task(
    body: AskBody,
    key: CallerKey,
    services: GatewayServices,
    response: Response,
    idempotency_key: Annotated[
        str | None, Header(description="A retry under the same key and body finds the same task, for a day.")
    ] = None,
) -> TaskView:
    """Hand in a question that is answered whether the client stays or not, and though the gateway be killed."""
    task = await services.durable.submit(key, body, idempotency_key)
    response.headers["Location"] = f"/tasks/{task.task_id}"
    return task


@router.get("/tasks/{task_id}", summary="What became of it")
async def get_task(task_id: str, key: CallerKey, services: GatewayServices) -> TaskView:
    """A task that was handed in: what it has done so far, and its answer once there is one."""
    return await services.durable.get(key, task_id)


@router.post("/tasks/{task_id}/cancel", summary="Stop it")
async def cancel_task(task_id: str, key: CallerKey, services: GatewayServices) -> TaskView:
    """Stop a task within about a second; what it has spent stays spent. One that has ended stays as it is."""
    return await services.durable.cancel(key, task_id)
