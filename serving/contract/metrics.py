"""The gateway's Prometheus metrics: tasks, money, model calls, HTTP traffic, the process.

BentoML's request metrics are off: their label is the path as sent, before any key is checked, so anybody could make the
gateway hold a million series. Our label is the route's template; no metric has a tenant, key or question.
"""

import time
from decimal import Decimal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

disable_created_metrics()  # else every series appears twice
CONTENT_TYPE = CONTENT_TYPE_LATEST
_TASK_BUCKETS_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640)
_HTTP_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """One registry a gateway, so that several gateways in a test count separately."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self.tasks = Counter(
            "lakehop_tasks",
            "Ended tasks, by the answer's status or the kind of failure.",
            ["program", "status"],
            registry=registry,
        )
        self.usd = Counter("lakehop_task_usd", "US dollars that tasks spent.", ["program"], registry=registry)
        self.model_calls = Counter("lakehop_model_calls", "Model calls of tasks.", ["program"], registry=registry)
        self.seconds = Histogram(
            "lakehop_task_seconds", "How long a task took.", ["program"], buckets=_TASK_BUCKETS_S, registry=registry
        )
        self.http_seconds = Histogram(
            "lakehop_http_request_seconds",
            "HTTP answers, streams until their end.",
            ["route", "method", "status"],
            buckets=_HTTP_BUCKETS_S,
            registry=registry,
        )
        self.http_running = Gauge("lakehop_http_requests_running", "Running HTTP requests.", registry=registry)

    def task_ended(self, program: str, status: str, usd: Decimal, calls: int, seconds: float) -> None:
        """Count an ended task. Prometheus counts dollars as floats; the lakehouse has the exact sum."""
        self.tasks.labels(program, status).inc()
        self.usd.labels(program).inc(float(usd))
        self.model_calls.labels(program).inc(calls)
        self.seconds.labels(program).observe(seconds)

    def page(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self.registry)


class HttpTraffic:
    """ASGI middleware that measures each answer under its route's template, e.g. `/tasks/{id}`."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, started = 0, time.perf_counter()

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            with self.metrics.http_running.track_inprogress():
                await self.app(scope, receive, note_status)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if route != "other" else "other"  # a client may send any method name
            seconds = time.perf_counter() - started
            self.metrics.http_seconds.labels(route, method, str(status)).observe(seconds)
