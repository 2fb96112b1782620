"""The maximal size of a request's body, enforced while it is read and before it is parsed."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# 8,000 characters take at most 96 kB of escaped JSON; the rest is room for group names.
MAX_BODY_BYTES = 256_000


class BodyLimit:
    """ASGI middleware: a larger body gets a 413.

    It raises Starlette's HTTPException instead of our own error, because FastAPI answers any other exception during the
    reading of a body with 400.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        received_bytes = 0

        async def receive_counted() -> Message:
            nonlocal received_bytes
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > MAX_BODY_BYTES:
                raise HTTPException(
                    413,
                    f"body: over {MAX_BODY_BYTES:,} bytes. A question has at most 8,000 characters; "
                    "of a conversation the last turns are enough; documents belong in the corpus (`lakehop ingest`).",
                )
            return message

        await self.app(scope, receive_counted, send)
