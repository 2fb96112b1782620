"""Responses that several routers declare or send."""

from http import HTTPStatus
from typing import Any

from fastapi import Response

from serving.contract.problems import Problem

PROBLEM = {"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
"""One status's entry in the OpenAPI document; add its `description`."""
PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: PROBLEM | {"description": HTTPStatus(status).phrase} for status in (400, 401, 402, 403, 404, 500, 501, 503)
} | {"default": {"model": Problem, "description": "Any other failure"}}  # takes the place of FastAPI's 422


def json_response(document: str, headers: dict[str, str] | None = None) -> Response:
    """A response whose JSON text exists already."""
    return Response(document, media_type="application/json", headers=headers)
