"""The upper size of a request's body, held while it is read and before anything parses it."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# 8,000 characters take at most 96 kB of escaped JSON; the rest is for group names.
MAX_BODY_BYTES = 256_000


class BodyLimit:
    """ASGI middleware: a larger body is a 413.

    It raises Starlette's HTTPException and not one of our errors, because FastAPI turns any other exception of a
    body that is being read into a 400.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > MAX_BODY_BYTES:
                raise HTTPException(
                    413,
                    f"body: over {MAX_BODY_BYTES:,} bytes. A question has at most 8,000 characters; "
                    "documents belong in the corpus (`lakehop ingest`).",
                )
            return message

        await self.app(scope, counted, send)
