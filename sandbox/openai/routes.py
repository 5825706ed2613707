"""OpenAI's paths: who may call, how much, and how an answer goes out."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox import keys
from sandbox.openai.replies import Reply, as_base64, count_tokens, embedding, question, reply_to
from sandbox.openai.rules import CHAT_MODELS, DIMENSIONS, Refused, check_chat, check_embeddings
from sandbox.rate import Allowance, FixedWindow
from sandbox.store import Row, Store

_MODELS_SINCE = 1_715_367_049
_ALL_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


async def _short_pause() -> None:
    await asyncio.sleep(0.01)


@dataclass(frozen=True)
class Options:
    """`pace` is awaited before each token of a stream. `broken_by` ends a stream after `broken_after` tokens: an
    `error` told in it, or a connection that is `cut`."""

    rate_per_minute: int = 10_000
    pace: Callable[[], Awaitable[None]] = _short_pause
    broken_by: str | None = None
    broken_after: int = 3
    clock: Callable[[], float] = time.time
    """Unix seconds."""


def seed(store: Store) -> None:
    """Nothing: there is nothing before somebody asks."""


def create_app(store: Store, options: Options = Options()) -> ASGIApp:
    """The simulator over a store."""
    window = FixedWindow(options.rate_per_minute, 60, options.clock)

    async def chat(request: Request) -> Response:
        body = _object(await request.body())
        check_chat(body)
        reply, now = reply_to(body), int(options.clock())
        head = {"id": f"chatcmpl-{secrets.token_urlsafe(18)}", "created": now, "model": body["model"]}
        row = {**head, "question": question(body), "usage": reply.usage, "is_streamed": bool(body.get("stream"))}
        if not body.get("stream"):
            store.put("completion", head["id"], {**row, "is_taken": True})
            return _json(_completion(head, reply))
        store.put("completion", head["id"], {**row, "is_taken": False})
        return StreamingResponse(_told(body, head, reply, row), media_type="text/event-stream")

    async def _told(body: Mapping[str, Any], head: Mapping[str, Any], reply: Reply, row: Row) -> AsyncIterator[bytes]:
        async for chunk in _chunks(head, reply, body, options):
            yield chunk
        store.put("completion", head["id"], {**row, "is_taken": True})

    async def embeddings(request: Request) -> Response:
        body = _object(await request.body())
        texts = check_embeddings(body)
        size = body.get("dimensions") or DIMENSIONS[body["model"]]
        vectors = [embedding(text, size) for text in texts]
        is_base64 = body.get("encoding_format") == "base64"
        rows = [
            {"object": "embedding", "index": index, "embedding": as_base64(vector) if is_base64 else vector}
            for index, vector in enumerate(vectors)
        ]
        used = count_tokens(texts)
        usage = {"prompt_tokens": used, "total_tokens": used}
        return _json({"object": "list", "model": body["model"], "data": rows, "usage": usage})

    async def models(request: Request) -> Response:
        return _json({"object": "list", "data": [_model(name) for name in (*CHAT_MODELS, *DIMENSIONS)]})

    async def model(request: Request) -> Response:
        name = request.path_params["id"]
        if name not in (*CHAT_MODELS, *DIMENSIONS):
            raise Refused(404, f"The model '{name}' does not exist", "model", "model_not_found")
        return _json(_model(name))

    async def not_there(request: Request) -> Response:
        path = request.url.path.removeprefix(request.scope["root_path"])
        if any(route.path_regex.match(path) for route in routes):
            raise Refused(405, f"Not allowed to {request.method} on {path}")
        raise Refused(404, f"Invalid URL ({request.method} {path})")

    def limited(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            allowance = window.take()
            try:
                _admit(request, allowance)
                response = await endpoint(request)
            except Refused as refused:
                response = _json(refused.body, refused.status)
                if refused.status == 429:
                    response.headers["Retry-After"] = str(max(1, allowance.retry_after_s))
            return _with_headers(response, allowance)

        return answer

    routes = [
        Route("/v1/chat/completions", limited(chat), methods=["POST"]),
        Route("/v1/embeddings", limited(embeddings), methods=["POST"]),
        Route("/v1/models", limited(models)),
        Route("/v1/models/{id}", limited(model)),
    ]
    return Starlette(routes=[*routes, Route("/{path:path}", limited(not_there), methods=_ALL_METHODS)])


async def _chunks(
    head: Mapping[str, Any], reply: Reply, body: Mapping[str, Any], options: Options
) -> AsyncIterator[bytes]:
    counts = bool((body.get("stream_options") or {}).get("include_usage"))

    def chunk(choices: list[dict[str, Any]], usage: Mapping[str, int] | None = None) -> bytes:
        told = {**head, "object": "chat.completion.chunk", "choices": choices, "system_fingerprint": "fp_sandbox"}
        return _event({**told, "usage": usage} if counts else told)

    def piece(delta: Mapping[str, Any], finish_reason: str | None = None) -> bytes:
        return chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}])

    yield piece({"role": "assistant", "content": "", "refusal": None})
    for index, token in enumerate(reply.tokens):
        if options.broken_by is not None and index == options.broken_after:
            if options.broken_by == "cut":
                raise ConnectionAbortedError("as asked for")
            message = "The server had an error while processing your request."
            yield _event({"error": {"message": message, "type": "server_error", "param": None, "code": None}})
            return
        await options.pace()
        yield piece({"content": token})
    yield piece({}, reply.finish_reason)
    if counts:
        yield chunk([], reply.usage)
    yield b"data: [DONE]\n\n"


def _completion(head: Mapping[str, Any], reply: Reply) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(reply.tokens),
        "refusal": None,
        "annotations": [],
    }
    return {
        **head,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish_reason}],
        "usage": reply.usage,
        "service_tier": "default",
        "system_fingerprint": "fp_sandbox",
    }


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": _MODELS_SINCE, "owned_by": "system"}


def _admit(request: Request, allowance: Allowance) -> None:
    """Raises Refused."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise Refused(401, "You didn't provide an API key. You need to provide it in an Authorization header.")
    if key != keys.OPENAI_API_KEY:
        hint = f"{key[:3]}***{key[-4:]}"
        told = f"Incorrect API key provided: {hint}. You can find it at https://platform.openai.com/account/api-keys."
        raise Refused(401, told, code="invalid_api_key")
    if not allowance.granted:
        told = f"Rate limit reached on requests per min (RPM): Limit {allowance.limit}."
        raise Refused(429, told, code="rate_limit_exceeded", type="requests")


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise Refused(400, "We could not parse the JSON body of your request.")
    return value


def _event(data: object) -> bytes:
    return b"data: " + orjson.dumps(data) + b"\n\n"


def _json(body: object, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


def _with_headers(response: Response, allowance: Allowance) -> Response:
    response.headers["x-request-id"] = f"req_{secrets.token_hex(16)}"
    response.headers["openai-version"] = "2020-10-01"
    response.headers["x-ratelimit-limit-requests"] = str(allowance.limit)
    response.headers["x-ratelimit-remaining-requests"] = str(allowance.remaining)
    response.headers["x-ratelimit-reset-requests"] = f"{allowance.retry_after_s}s"
    return response
