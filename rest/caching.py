"""What an answer to GET says about being used again, and the answer to those who have it already.

Two answers are the same if their `data` is: what else the envelope tells is of the request.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import orjson
from graphql import GraphQLSchema
from starlette.requests import Request
from starlette.responses import Response

from core.auth import CREDENTIAL_NAMES
from engine.cache_policy import cache_policy

NO_STORE = {"Cache-Control": "private, no-store"}
_NOT_MODIFIED = 304
_VARY = ", ".join(sorted(CREDENTIAL_NAMES))
_TAGS = re.compile(r'(?:W/)?("[^"]*")')


def cache_headers(schema: GraphQLSchema, coordinate: str) -> dict[str, str]:
    """Of an answer that is what a field shows to its caller, and is made for their credentials."""
    policy = cache_policy(schema, [coordinate])
    kept_by = "public" if policy.is_public else "private"
    kept = {"Cache-Control": f"{kept_by}, max-age={policy.max_age_s}"} if policy.max_age_s else NO_STORE
    return {**kept, "Vary": _VARY}


def conditional(request: Request, answer: Response, data: Any, headers: dict[str, str]) -> Response:
    """The answer with its tag and these headers; only those where the caller has it already."""
    tag = f'"{hashlib.blake2b(orjson.dumps(data), digest_size=16).hexdigest()}"'
    if _has(request, tag):
        answer = Response(status_code=_NOT_MODIFIED)
    answer.headers.update({**headers, "ETag": f"W/{tag}"})
    return answer


def _has(request: Request, tag: str) -> bool:
    """Whether the request names this tag among those of answers that its sender has: weakly compared, as RFC 9110
    wants it."""
    named = ", ".join(request.headers.getlist("if-none-match"))
    return named.strip() == "*" or tag in _TAGS.findall(named)
