"""The pages for a browser: the console at `/` and the API docs at `/docs`; they need no other server.

The gateway serves every file that they load, and the Content-Security-Policy forbids any other: no content delivery
network, no inline script. The pages hold no data, so they need no key; they fetch data with the user's key.
"""

from pathlib import Path

import bentoml
from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

CONSOLE = Path(__file__).parents[1] / "console"
# Static files in BentoML's wheel, which names no public path to them; a test fails if an upgrade moves them.
SWAGGER = Path(bentoml.__file__).parent / "_internal" / "server" / "static_content"
_POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:; style-src 'self'{styles}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY.format(styles=""),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
# Swagger UI sets style attributes while it draws; scripts stay strict.
_DOCS_HEADERS = _HEADERS | {"Content-Security-Policy": _POLICY.format(styles=" 'unsafe-inline'")}

router = APIRouter(include_in_schema=False)


@router.get("/")
async def console() -> FileResponse:
    """The console."""
    return FileResponse(CONSOLE / "index.html", headers=_HEADERS)


@router.get("/docs")
async def docs() -> FileResponse:
    """The API docs, drawn from /openapi.json."""
    return FileResponse(CONSOLE / "docs.html", headers=_DOCS_HEADERS)


@router.get("/openapi.json")
async def openapi(request: Request) -> JSONResponse:
    """The OpenAPI document."""
    return JSONResponse(request.app.openapi())


class Assets(StaticFiles):
    """Static files with the pages' headers."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, or a 404."""
        response = await super().get_response(path, scope)
        response.headers.update(_HEADERS)
        return response
