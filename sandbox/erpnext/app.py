"""The HTTP edge: routes, credentials, arguments, envelopes."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox.erpnext import documents, methods
from sandbox.erpnext.errors import NotSupported, Refusal, bad_json, forbidden, invalid, no_route
from sandbox.erpnext.filters import doctype_named
from sandbox.erpnext.invoices import mark_overdue
from sandbox.erpnext.lists import PAGE, get_list
from sandbox.erpnext.unit import Unit
from sandbox.keys import ERPNEXT_API_KEY, ERPNEXT_API_SECRET
from sandbox.store import Row, Store

GUEST = "Guest"
REQUEST_LINE_LIMIT = 4094
"""gunicorn's, in bytes."""

VERBS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
GUEST_COOKIES = {"sid": GUEST, "system_user": "no", "full_name": GUEST, "user_id": GUEST, "user_image": ""}


@dataclass(frozen=True)
class Call:
    """A request, read to its end. `args` are those of the JSON body, or else of query string and form."""

    verb: str
    segments: list[str]
    args: Row
    body: bytes
    guest: bool


def create_app(store: Store) -> ASGIApp:
    """The site. The daily job runs once, at its start."""
    unit = Unit(store)
    mark_overdue(unit)
    unit.commit()

    async def answer(request: Request) -> Response:
        line = _request_line(request)
        if len(line) > REQUEST_LINE_LIMIT:
            return _line_too_large(len(line))
        body = await request.body()
        # From here to the commit nothing awaits, so a request sees no other's half-done work.
        path = [segment for segment in request.path_params["path"].split("/") if segment]
        v2 = path[:2] == ["api", "v2"]
        guest = "authorization" not in request.headers
        try:
            args = _arguments(request, body)
            guest = _authenticate(request.headers.get("authorization", ""))
            unit = Unit(store)
            response = _dispatch(unit, path, Call(request.method, path, args, body, guest))
            unit.commit()
        except Refusal as refusal:
            response = _json(refusal.body_v2() if v2 else refusal.body(), refusal.status)
        except NotSupported as exc:
            told = f"The sandbox does not do this: {exc}"
            response = _json({"exc_type": "NotImplementedError", "message": told}, 501)
        if guest and response.status_code != 401:
            for name, value in GUEST_COOKIES.items():
                response.set_cookie(name, value)
        return response

    return Starlette(routes=[Route("/{path:path}", answer, methods=VERBS)])


def _dispatch(unit: Unit, path: list[str], call: Call) -> Response:
    if not path or path[0] != "api":
        raise NotSupported("pages outside of /api")
    rest = path[2:] if path[1:2] in (["v1"], ["v2"]) else path[1:]
    if path[1:2] == ["v2"]:
        return _v2(unit, rest, call)
    if len(rest) >= 2 and rest[0] == "method" and call.verb in ("GET", "POST", "PUT", "DELETE"):
        result, is_document = methods.run(unit, "/".join(rest[1:]), call.verb, call.args, guest=call.guest)
        return _json({} if result is None else {"message": _document(result) if is_document else result})
    if len(rest) >= 2 and rest[0] == "resource":
        return _resource(unit, rest[1], "/".join(rest[2:]), call)
    raise no_route()


def _resource(unit: Unit, doctype: str, name: str, call: Call) -> Response:
    known = {"GET", "POST", "PUT", "DELETE"} if name else {"GET", "POST"}
    if call.verb not in known:
        raise no_route()
    doctype_named(doctype)
    if call.guest:
        raise forbidden(GUEST, doctype, traceback=call.verb == "GET" and not name)
    if call.verb == "GET" and not name:
        args = {"limit_page_length": call.args.get("limit") or PAGE} | call.args
        return _json({"data": get_list(unit, doctype, args)})
    if call.verb == "GET":
        if call.args.get("expand_links"):
            raise NotSupported("expand_links")
        return _json({"data": _document(documents.read(unit, doctype, name))})
    if call.verb == "DELETE":
        documents.delete(unit, doctype, name)
        return _json({"data": "ok"}, 202)
    if call.verb == "PUT":
        return _json({"data": _document(documents.save(unit, doctype, name, _sent(call)))})
    if not name:
        return _json({"data": _document(documents.insert(unit, doctype, _sent(call)), new=True)})
    steps = {"submit": documents.SUBMITTED, "cancel": documents.CANCELLED}
    if call.args.get("run_method") not in steps:
        raise NotSupported(f"run_method {call.args.get('run_method')}")
    target = steps[call.args["run_method"]]
    return _json({"data": _document(documents.save(unit, doctype, name, {"docstatus": target}))})


def _v2(unit: Unit, rest: list[str], call: Call) -> Response:
    """Reads only."""
    if len(rest) < 2 or rest[0] != "document" or call.verb != "GET":
        raise NotSupported("this part of API v2")
    doctype, name = rest[1], "/".join(rest[2:])
    doctype_named(doctype)
    if call.guest:
        raise forbidden(GUEST, doctype)
    if name:
        return _json({"data": _document(documents.read(unit, doctype, name))})
    page = {"limit_start": call.args.get("start"), "limit_page_length": call.args.get("limit", PAGE)}
    return _json({"data": get_list(unit, doctype, call.args | page)})


def _authenticate(header: str) -> bool:
    """Whether the caller is a guest. Raises: Refusal (401) for credentials that are not ours."""
    words = header.split(" ")
    if len(words) != 2:
        return True
    scheme, credentials = words[0].lower(), words[1]
    if scheme == "basic":
        try:
            credentials = base64.b64decode(credentials, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise Refusal("AuthenticationError") from None
    if scheme not in ("basic", "token") or credentials != f"{ERPNEXT_API_KEY}:{ERPNEXT_API_SECRET}":
        raise Refusal("AuthenticationError")
    return False


def _arguments(request: Request, body: bytes) -> Row:
    if body and request.headers.get("content-type", "").partition(";")[0].strip() == "application/json":
        args = _loads(body)
        if not isinstance(args, dict):
            raise invalid("Invalid request arguments")
        return args
    args = dict(request.query_params)
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        args |= parse_qsl(body.decode(errors="replace"), keep_blank_values=True)
    return args


def _sent(call: Call) -> Row:
    """The document of a create or update: `data`, or the body as JSON whatever its type says, or the arguments."""
    data: Any = call.args.get("data")
    if isinstance(data, dict):
        return data
    try:
        decoded = orjson.loads(data if isinstance(data, str) else call.body)
    except orjson.JSONDecodeError:
        return call.args
    return decoded if isinstance(decoded, dict) else call.args


def _loads(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        try:
            return json.loads(body)
        except json.JSONDecodeError as exc:
            raise bad_json(exc) from exc


def _document(doc: Row, *, new: bool = False) -> Row:
    """As Frappe writes one: without nulls; rows that a create brought along still carry their mark."""
    shown = {key: value for key, value in doc.items() if value is not None and (new or key != "__unsaved")}
    for key, value in shown.items():
        if isinstance(value, list):
            shown[key] = [_document(row, new=new or "__islocal" in doc) for row in value]
    return shown


def _json(content: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


def _request_line(request: Request) -> bytes:
    """As a server of this site alone would get it, without the path that it is mounted below."""
    raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
    raw = raw.removeprefix(request.scope.get("root_path", "").encode())
    query: bytes = request.scope["query_string"]
    return b"%s %s%s HTTP/1.1" % (request.method.encode(), raw, b"?" + query if query else b"")


def _line_too_large(size: int) -> Response:
    text = f"Request Line is too large ({size} &gt; {REQUEST_LINE_LIMIT})"
    page = f"<html><head><title>Bad Request</title></head><body><h1><p>Bad Request</p></h1>{text}</body></html>"
    return Response(page, 400, media_type="text/html")
