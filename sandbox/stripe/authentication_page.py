"""The bank's page of 3-D Secure, where a customer says yes or no.

    GET /authenticate/{intent}?client_secret=...[&result=failed]

An address of the sandbox alone: Stripe's own is on another host and never called by a server.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox.store import Row, Store
from sandbox.stripe import intents, methods
from sandbox.stripe.calls import Call, new_id
from sandbox.stripe.errors import StripeError


def route(store: Store, clock: Callable[[], float]) -> Route:
    async def authenticate(request: Request) -> Response:
        call = Call(store, int(clock()), new_id("req", 14), None, base_url(request), request.url.path, {}, {})
        found = store.get("payment_intent", request.path_params["intent"])
        secret = request.query_params.get("client_secret", "")
        if found is None or not secrets.compare_digest(found["client_secret"].encode(), secret.encode()):
            return PlainTextResponse("There is no such payment.", 404)
        if found["status"] != "requires_action":
            return PlainTextResponse("This payment waits for nobody.", 409)
        with store.transaction():
            result = _decide(
                call, found["id"], succeeded=request.query_params.get("result", "succeeded") == "succeeded"
            )
        return _leave(found, result)

    return Route("/authenticate/{intent}", authenticate)


def base_url(request: Request) -> str:
    """Where the simulator is reached, ending in a slash; `request.base_url` forgets what it is mounted under."""
    return f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}/"


def _decide(call: Call, id: str, *, succeeded: bool) -> str:
    intent = intents.load(call, id)
    method = methods.find(call, intent["payment_method"])
    if succeeded:
        intents.authorize(call, intent, method)
        return "succeeded"
    try:
        intents.fail(call, intent, method, intents.AUTHENTICATION_FAILED)
    except StripeError:
        return "failed"


def _leave(intent: Row, result: str) -> Response:
    """Back to the shop, when the confirmation told where that is."""
    action = intent["next_action"]
    if action["type"] != "redirect_to_url":
        return PlainTextResponse(f"Authentication {result}.")
    return_url = action["redirect_to_url"]["return_url"]
    told = {
        "payment_intent": intent["id"],
        "payment_intent_client_secret": intent["client_secret"],
        "redirect_status": result,
    }
    return RedirectResponse(f"{return_url}{'&' if '?' in return_url else '?'}{urlencode(told)}", 303)
