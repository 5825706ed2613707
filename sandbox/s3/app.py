"""What stands in front of moto."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from tempfile import SpooledTemporaryFile
from typing import Any
from urllib.parse import parse_qsl, unquote
from xml.etree import ElementTree

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from sandbox.s3.engine import Engine
from sandbox.s3.objects import CHUNK_BYTES, Objects, path_of
from sandbox.s3.signatures import Refused, check
from sandbox.store import Store

HEALTH = re.compile(r"/minio/health/(live|ready|cluster|cluster/read)")
SPOOLED_BYTES = 1024 * 1024
_HOPS = frozenset({"connection", "transfer-encoding", "server", "date", "keep-alive"})
_KEPT = re.compile(r"content-(type|encoding|disposition|language)|cache-control|x-amz-meta-.+")


class Front:
    """`engine` is moto, which knows of no signatures."""

    def __init__(self, store: Store) -> None:
        self.objects = Objects(store)
        self.engine = Engine(self.objects)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await _answer(Request(scope, receive), self.engine, self.objects)
        await answer(scope, receive, send)


def create_app(store: Store) -> Front:
    return Front(store)


async def _answer(request: Request, engine: Engine, objects: Objects) -> Response:
    sent = request.scope["raw_path"].decode().partition("?")[0]
    path = sent.removeprefix(request.scope.get("root_path", ""))
    if HEALTH.fullmatch(path):
        return Response(headers={"x-minio-server-status": "online"})
    query = request.scope["query_string"].decode()
    headers = dict(request.headers)
    try:
        check(request.method, sent, query, headers)
        with SpooledTemporaryFile(SPOOLED_BYTES) as body:
            await _receive(request, body, headers.get("x-amz-content-sha256"))
            return await _pass_on(request.method, path, query, headers, body, engine, objects)
    except Refused as exc:
        return _refusal(exc, path, request.method)


async def _receive(request: Request, body: Any, digest: str | None) -> None:
    """Take the whole body. Raises Refused for one that is not what was signed."""
    summed = hashlib.sha256()
    async for chunk in request.stream():
        summed.update(chunk)
        body.write(chunk)
    body.seek(0)
    if digest is not None and re.fullmatch("[0-9a-f]{64}", digest) and digest != summed.hexdigest():
        raise Refused("XAmzContentSHA256Mismatch", "The provided x-amz-content-sha256 does not match the body.", 400)


async def _pass_on(
    method: str, path: str, query: str, headers: dict[str, str], body: Any, engine: Engine, objects: Objects
) -> Response:
    target = f"{path}?{query}" if query else path
    passed = {name: value for name, value in headers.items() if name not in {"host", "connection", "transfer-encoding"}}
    asked = engine.ask(method, target, passed, _chunks(body))
    if method in ("GET", "HEAD"):
        answer = await asked.__aenter__()

        async def content() -> AsyncIterator[bytes]:
            try:
                async for chunk in answer.aiter_raw():
                    yield chunk
            finally:
                await asked.__aexit__(None, None, None)

        return StreamingResponse(content(), answer.status_code, _headers(answer))
    async with asked as answer:
        told = await answer.aread()
    if answer.status_code < 300:
        for key in _changed(method, path, query, told):
            await _keep(key, engine, objects)
    return Response(told, answer.status_code, _headers(answer))


def _changed(method: str, path: str, query: str, answer: bytes) -> list[str]:
    """The keys whose objects such a request has changed."""
    _, _, key = unquote(path).lstrip("/").partition("/")
    asked = dict(parse_qsl(query, keep_blank_values=True))
    if method == "POST" and "delete" in asked:
        found = ElementTree.fromstring(answer).findall(".//{*}Deleted/{*}Key")  # noqa: S314 - of moto's
        return [each.text or "" for each in found]
    is_part = "uploadId" in asked and method != "POST"
    begins = method == "POST" and "uploads" in asked
    return [key] if key and not is_part and not begins else []


async def _keep(key: str, engine: Engine, objects: Objects) -> None:
    """Keep an object as moto has it now."""
    async with engine.ask("GET", path_of(key)) as answer:
        if answer.status_code == 404:
            objects.forget(key)
            return
        content = objects.begin()
        async for chunk in answer.aiter_raw():
            content.write(chunk)
        headers = {name: value for name, value in answer.headers.items() if _KEPT.fullmatch(name)}
    objects.keep(key, headers, content)


async def _chunks(body: Any) -> AsyncIterator[bytes]:
    while chunk := body.read(CHUNK_BYTES):
        yield chunk


def _headers(answer: Any) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in _HOPS}


def _refusal(exc: Refused, path: str, method: str) -> Response:
    root = ElementTree.Element("Error")
    for name, value in (("Code", exc.code), ("Message", str(exc)), ("Resource", path)):
        ElementTree.SubElement(root, name).text = value
    body = b"" if method == "HEAD" else ElementTree.tostring(root, xml_declaration=True, encoding="UTF-8")
    return Response(body, exc.status, media_type="application/xml")
