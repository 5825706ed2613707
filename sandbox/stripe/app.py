"""The way of a request: authentication, endpoint, idempotency, checks, effect, answer.

Effect, events and the idempotent answer are committed together before the answer leaves. Nothing is awaited between
the first read and that commit.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from copy import deepcopy

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox.store import Row, Store
from sandbox.stripe import (
    authentication_page,
    balance,
    catalogue,
    charges,
    customers,
    expand,
    forms,
    payments,
    refunds,
    subscriptions,
)
from sandbox.stripe.calls import Call, Operation, new_id
from sandbox.stripe.errors import StripeError, not_simulated
from sandbox.stripe.headers import Answer, Keys, authenticate, effective_version

OPERATIONS: tuple[Operation, ...] = (
    *payments.OPERATIONS,
    *charges.OPERATIONS,
    *refunds.OPERATIONS,
    *customers.OPERATIONS,
    *payments.SETUP_OPERATIONS,
    *catalogue.OPERATIONS,
    *subscriptions.OPERATIONS,
    *balance.OPERATIONS,
)


async def _instantly() -> None:
    """The card network of a simulator that nobody waits for."""


def create_app(
    store: Store,
    *,
    clock: Callable[[], float] = time.time,
    card_network: Callable[[], Awaitable[None]] = _instantly,
) -> ASGIApp:
    """The simulator over `store`.

    `clock` tells Unix seconds. `card_network` is awaited by every POST before its effect; while it takes its time, the
    same idempotency key is refused.
    """
    keys = Keys(store)

    async def answer(request: Request) -> Response:
        request_id, now = new_id("req", 14), int(clock())
        headers = {"Request-Id": request_id}
        try:
            return await execute(request, request_id, now, headers)
        except StripeError as exc:
            return JSONResponse(exc.body(request_id), exc.status, headers)

    async def execute(request: Request, request_id: str, now: int, headers: dict[str, str]) -> Response:
        url = "/" + request.path_params["path"]
        authenticate(request.headers)
        headers["Stripe-Version"] = effective_version(request.headers.get("stripe-version"))
        operation, path = _find(request.method, url)
        form = forms.parse(await _encoded(request))
        key = request.headers.get("idempotency-key") if request.method == "POST" else None
        with ExitStack() as running:
            if key is not None:
                headers["Idempotency-Key"] = key
                if kept := keys.recall(key, url, form, now):
                    headers |= {"Idempotent-Replayed": "true", "Original-Request": kept.request_id}
                    return JSONResponse(kept.body, kept.status, headers)
            params = _check(operation, form)
            if key is not None:
                keys.running.add(key)
                running.callback(keys.running.discard, key)
            if request.method == "POST":
                await card_network()
            call = Call(store, now, request_id, key, authentication_page.base_url(request), url, path, params)
            with store.transaction():
                outcome = _run(operation, call)
                if key is not None:
                    keys.keep(key, url, form, outcome, now)
        return JSONResponse(outcome.body, outcome.status, headers)

    return Starlette(
        routes=[
            authentication_page.route(store, clock),
            Route("/{path:path}", answer, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
        ]
    )


def _run(operation: Operation, call: Call) -> Answer:
    """The operation's answer. A refusal is an answer too: what it recorded is committed and its key kept."""
    try:
        row = operation.run(call)
        return Answer(200, expand.apply(call.store, row, call.params.get("expand", [])), call.request_id)
    except StripeError as exc:
        return Answer(exc.status, deepcopy(exc.body(call.request_id)), call.request_id)


def _check(operation: Operation, form: forms.Form) -> Row:
    params: Row = forms.fields(operation.spec, operation.required)(form, "")
    expand.check(params.get("expand", []), operation.kind, listing=operation.listing)
    return params


def _find(method: str, url: str) -> tuple[Operation, dict[str, str]]:
    for operation in OPERATIONS:
        path = operation.match(method, url)
        if path is not None:
            return operation, path
    if url.startswith(("/v1/", "/v2/")):
        raise not_simulated(f"{method} {url}")
    raise StripeError(404, f"Unrecognized request URL ({method}: {url}).")


async def _encoded(request: Request) -> bytes:
    """The parameters as they came: of a POST in the body, of others in the query."""
    if request.method != "POST":
        query: bytes = request.scope["query_string"]
        return query
    body = await request.body()
    media_type = request.headers.get("content-type", "").partition(";")[0].strip()
    if body and media_type != "application/x-www-form-urlencoded":
        raise StripeError(400, "The content type of a POST is application/x-www-form-urlencoded.")
    return body
