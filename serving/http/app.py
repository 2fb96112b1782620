"""The gateway's HTTP application: one router a topic, middlewares, problem documents.

It is a FastAPI app and not a set of BentoML endpoints, because BentoML 1.4 serves an endpoint by POST only, answers a
bad body in its own words, and replaces the text of a 401 or 403: no room for problem documents, GET /usage, or a stream
whose early failures have a status. BentoML carries this app (see `serving.gateway`).
"""

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from lakehouse.errors import LakehopError
from serving.contract.metrics import HttpTraffic, Metrics
from serving.contract.problems import UnknownErrors, respond
from serving.http import asking, durable_tasks, health, memory, pages, passages, searching, usage
from serving.http.body_limit import BodyLimit
from serving.http.head import HeadAsGet

ROUTERS = (
    asking.router,
    durable_tasks.router,
    searching.router,
    passages.router,
    usage.router,
    memory.router,
    health.router,
    pages.router,
)


def create_api() -> FastAPI:
    """The app without its services; the gateway sets `app.state.services` once it has built them."""
    api = FastAPI(
        title="Lakehop",
        description="Cited multi-hop answers from your documents, and what each cost.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    for router in ROUTERS:
        api.include_router(router)
    api.mount("/console", pages.Assets(directory=pages.CONSOLE))
    api.mount("/swagger", pages.Assets(directory=pages.SWAGGER))
    for error in (LakehopError, RequestValidationError, HTTPException):
        api.add_exception_handler(error, respond)
    api.state.metrics = Metrics()
    api.add_middleware(BodyLimit)  # innermost
    api.add_middleware(HeadAsGet)
    api.add_middleware(UnknownErrors)
    api.add_middleware(HttpTraffic, metrics=api.state.metrics)
    return api
