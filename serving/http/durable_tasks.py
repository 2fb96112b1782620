"""Endpoints of durable tasks: submit a question, come back for its answer."""

from typing import Annotated

from fastapi import APIRouter, Header, Response

from serving.contract.bodies import AskBody
from serving.http.responses import PROBLEM_RESPONSES
from serving.http.services import API_KEY, CallerKey, GatewayServices
from serving.tasks.durable import TaskView

router = APIRouter(dependencies=[API_KEY], responses=PROBLEM_RESPONSES, tags=["questions"])


@router.post("/tasks", summary="Submit a question", status_code=202)
async def submit_task(
    body: AskBody,
    key: CallerKey,
    services: GatewayServices,
    response: Response,
    idempotency_key: Annotated[
        str | None, Header(description="A retry with the same key and body returns the same task, for a day.")
    ] = None,
) -> TaskView:
    """Submit a question; its task goes on if the client leaves, and after a crash of the gateway."""
    task = await services.durable.submit(key, body, idempotency_key)
    response.headers["Location"] = f"/tasks/{task.task_id}"
    return task


@router.get("/tasks/{task_id}", summary="Get a task")
async def get_task(task_id: str, key: CallerKey, services: GatewayServices) -> TaskView:
    """A submitted task: its steps so far, and its answer once it has ended."""
    return await services.durable.get(key, task_id)


@router.post("/tasks/{task_id}/cancel", summary="Cancel a task")
async def cancel_task(task_id: str, key: CallerKey, services: GatewayServices) -> TaskView:
    """Stop a task within about a second; its spend stays on the bill. An ended task does not change."""
    return await services.durable.cancel(key, task_id)
