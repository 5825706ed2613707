"""Serves GraphiQL at the GraphQL endpoint's own address to whoever asks for a page, and to nobody else.

    GET /graphql                  Accept: text/html   the page; every other request falls through to the API
    GET /graphql/assets/{file}                        the bundle's files, named after their content

Without a bundle (no npm at set-up) the page says how to get one, and `?ide=strawberry` is Strawberry's own page, which
loads its parts from a CDN and is therefore the one page with a wider content security policy.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse, HTMLResponse
from fastapi.routing import APIRoute
from starlette.datastructures import Headers, QueryParams
from starlette.routing import Match
from starlette.types import Scope
from strawberry.http.ides import get_graphql_ide_html

HERE = Path(__file__).parent
DIST = HERE / "dist"
"""Where `build.mjs` puts the bundle."""

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "worker-src": "'self'",
    "style-src": "'self' 'unsafe-inline'",  # Monaco and React write style attributes
    "font-src": "'self' data:",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
CDN = "https://unpkg.com"


@dataclass(frozen=True)
class Example:
    """One tab: a document and its variables."""

    query: str
    variables: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Presets:
    """What the page shows a newcomer. `bearer` fills the Headers tab, and so is readable by whoever gets the page."""

    examples: tuple[Example, ...]
    bearer: str | None = None


def graphiql_router(*, presets: Callable[[Request], Presets], dist: Path = DIST, path: str = "/graphql") -> APIRouter:
    """Routes for the page and its assets; include it before the GraphQL router of the same path.

    `presets` is asked for every page. A bundle that appears in `dist` later is served without a restart.
    """
    router = APIRouter()
    below = path.rsplit("/", 1)[-1] + "/assets/"  # relative to the page, so that a proxy may add a prefix

    async def page(request: Request) -> HTMLResponse:
        files = _manifest(dist)
        if files is not None:
            return _page(_bundled(files, below, presets(request)))
        if request.query_params.get("ide") == "strawberry":
            html = get_graphql_ide_html("graphiql")
            return _page(html, _cdn_policy(html))
        return _page((HERE / "missing.html").read_text("utf-8"))

    async def asset(file: str) -> FileResponse:
        if file not in (_manifest(dist) or {}).values():
            raise HTTPException(404)
        headers = _security_headers(POLICY) | {"Cache-Control": "public, max-age=31536000, immutable"}
        return FileResponse(dist / file, media_type=_MEDIA_TYPES[Path(file).suffix], headers=headers)

    router.routes.append(_PageRoute(path, page, methods=["GET"], include_in_schema=False))
    router.add_api_route(f"{path}/assets/{{file}}", asset, methods=["GET"], include_in_schema=False)
    return router


class _PageRoute(APIRoute):
    """Matches only a browser that opens the address; a GraphQL request is left to the routes after it."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http" or scope["method"] != "GET" or not _wants_page(scope):
            return Match.NONE, {}
        return super().matches(scope)


def _wants_page(scope: Scope) -> bool:
    """Whether a GET accepts HTML by name (a wildcard is what API clients send) and carries no operation."""
    parameters = QueryParams(scope["query_string"])
    if "query" in parameters or "extensions" in parameters:
        return False
    for entry in Headers(scope=scope).get("accept", "").split(","):
        media_type, *rest = (part.strip().lower() for part in entry.split(";"))
        if media_type == "text/html":
            return not any(re.fullmatch(r"q=0(\.0*)?", part) for part in rest)
    return False


_MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css"}


def _manifest(dist: Path) -> dict[str, str] | None:
    """The bundle's files by their plain names, None where there is no whole bundle."""
    try:
        manifest: dict[str, str] = json.loads((dist / "manifest.json").read_bytes())
    except FileNotFoundError:
        return None
    return manifest


def _bundled(files: Mapping[str, str], below: str, presets: Presets) -> str:
    headers = {"Authorization": f"Bearer {presets.bearer}"} if presets.bearer else {}
    shown = {
        "tabs": [{"query": example.query, "variables": _pretty(example.variables)} for example in presets.examples],
        "headers": _pretty(headers),
        "workers": {
            name.removesuffix(".worker.js"): below + file for name, file in files.items() if name.endswith(".worker.js")
        },
    }
    return Template((HERE / "page.html").read_text("utf-8")).substitute(
        style=below + files["boot.css"], script=below + files["boot.js"], presets=_json_in_html(shown)
    )


def _pretty(value: Mapping[str, Any] | None) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) if value else ""


def _json_in_html(value: Any) -> str:
    """JSON that a script element can hold: nothing in it opens a comment or closes the element."""
    return json.dumps(value).replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def _cdn_policy(html: str) -> dict[str, str]:
    """The policy for Strawberry's page: its CDN, and its inline scripts by their digests."""
    inline = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in inline)
    scripts = " ".join([CDN, *(f"'sha256-{digest}'" for digest in digests)])
    return POLICY | {"script-src": scripts, "style-src": f"{CDN} 'unsafe-inline'"}


def _page(html: str, policy: Mapping[str, str] = POLICY) -> HTMLResponse:
    return HTMLResponse(html, headers=_security_headers(policy) | {"Cache-Control": "no-store", "Vary": "Accept"})


def _security_headers(policy: Mapping[str, str]) -> dict[str, str]:
    """For pages and assets alike: a worker obeys the policy of its own script, not of the page."""
    return {
        "Content-Security-Policy": "; ".join(f"{name} {sources}" for name, sources in policy.items()),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
