"""`/docs`: the REST layer for people who read, by Swagger UI, and `/openapi.json` for programs.

Everything that the page loads comes from here.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import orjson
from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from strawberry.schema import BaseSchema

from rest.openapi import openapi
from rest.operations import Operations

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Swagger UI writes style attributes and holds its pictures in itself; nothing else is let in."""
_FILES = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>OmniStack Gateway, REST</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: new URL("openapi.json", location.href).href, dom_id: "#ui", deepLinking: true,
  docExpansion: "list", validatorUrl: null, persistAuthorization: false,
});
"""


def docs(schema: BaseSchema) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @cache
    def described() -> bytes:
        return orjson.dumps(openapi(Operations(schema).graphql))

    async def page(request: Request) -> Response:
        return HTMLResponse(_PAGE, headers=_headers())

    async def document(request: Request) -> Response:
        return Response(described(), media_type="application/json", headers=_headers())

    async def start(request: Request) -> Response:
        return Response(_START, media_type="text/javascript", headers=_headers())

    async def asset(request: Request) -> Response:
        name = request.path_params["file"]
        if name not in _FILES:
            raise HTTPException(404)
        kept = _headers() | {"Cache-Control": "public, max-age=86400"}
        return FileResponse(_assets() / name, media_type=_FILES[name], headers=kept)

    router.add_route("/docs", page, methods=["GET"])
    router.add_route("/docs/start.js", start, methods=["GET"])
    router.add_route("/docs/{file}", asset, methods=["GET"])
    router.add_route("/openapi.json", document, methods=["GET"])
    return router


def _assets() -> Path:
    """Swagger UI's files, as a package brings them; of the package itself nothing runs."""
    found = find_spec("fastapi_swagger")
    if found is None or found.origin is None:
        raise HTTPException(404, "Swagger UI is not installed")
    return Path(found.origin).parent / "resources"


def _headers() -> dict[str, str]:
    return {
        "Content-Security-Policy": POLICY,
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
