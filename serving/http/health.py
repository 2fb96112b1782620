"""Endpoints for the gateway's operators: health, readiness, Prometheus metrics."""

from fastapi import APIRouter, Response

from serving.contract.access import require_operator
from serving.contract.metrics import CONTENT_TYPE
from serving.http.readiness import check_ready
from serving.http.responses import PROBLEM
from serving.http.services import API_KEY, CallerKey, GatewayServices

router = APIRouter(tags=["operations"])


@router.get("/healthz", summary="Liveness", response_class=Response)
async def healthz() -> Response:
    """200 while the process runs. Needs no key."""
    return Response("ok\n", media_type="text/plain")


@router.get(
    "/readyz",
    summary="Readiness",
    response_class=Response,
    responses={503: PROBLEM | {"description": "A part does not answer"}},
)
async def readyz(services: GatewayServices) -> Response:
    """200 if Milvus and the model endpoint answer, else 503 with the parts that do not. Needs no key."""
    await check_ready(services.probes)
    return Response("ready\n", media_type="text/plain")


@router.get("/metrics", summary="Prometheus metrics", response_class=Response, dependencies=[API_KEY])
async def metrics(key: CallerKey, services: GatewayServices) -> Response:
    """Prometheus metrics of the whole gateway. Needs an operator key."""
    require_operator(key, "/metrics")
    return Response(services.metrics.page(), media_type=CONTENT_TYPE)
