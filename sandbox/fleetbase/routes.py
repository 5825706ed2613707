"""Fleetbase's paths: who may call, what is answered to whom.

Handlers are plain functions, so that nothing comes between what they read and what they write.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox import keys
from sandbox.fleetbase import geo, intake, orders, quotes, rows, tracking, wire
from sandbox.fleetbase.database import Database, now
from sandbox.fleetbase.errors import Refusal, framework, invalid, not_found, rejected, unsupported
from sandbox.fleetbase.queries import Query, select
from sandbox.fleetbase.tables import LISTS
from sandbox.rate import Allowance, FixedWindow
from sandbox.store import Row, Store

EXPIRED_KEY = "flb_test_expired0123456789"
_FAMILIES = frozenset(
    {*LISTS, "service-quotes", "service-rates", "purchase-rates", "payloads", "entities", "vendors", "organizations"}
    | {"issues", "fuel-reports", "order-configs", "sensors", "devices", "webhook-endpoints", "files", "comments"}
)
"""First parts of paths that the real API has."""

_ALL_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True)
class Options:
    rate_per_minute: int | None = None
    """The real API allows 120 to one address; None: no limit."""
    legacy_tracker: bool = False
    """Answer `/tracker` in the shape of older servers."""
    ignore_in_filters: bool = False
    """Take no notice of `..._in` filters, as a server would that lacks them."""


@dataclass(frozen=True)
class Call:
    """One authenticated request. `id` is the one in the path, or empty; what is no JSON object is an empty `body`."""

    db: Database
    options: Options
    id: str
    query: Query
    body: dict[str, Any]


Handler = Callable[[Call], Response]


def create_app(store: Store, options: Options = Options()) -> ASGIApp:
    """The simulator over a seeded store."""
    db = Database(store)
    orders.finish_all(db)
    window = FixedWindow(options.rate_per_minute, 60) if options.rate_per_minute else None

    async def not_there(request: Request) -> Response:
        path = request.path_params["path"]
        version, _, rest = path.partition("/")
        if version != "v1" or rest.partition("/")[0] not in _FAMILIES:
            raise framework(404, "There is nothing to see here.")
        _authenticate(request)
        raise unsupported(f"{request.method} /{path}")

    def endpoint(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            allowance = window.take() if window else None
            if allowance and not allowance.granted:
                return _with_rate(_json({"errors": ["Too many requests."]}, 429), allowance)
            _authenticate(request)
            query, body = Query(request.url.query), _json_object(await request.body())
            response = handler(Call(db, options, request.path_params.get("id", ""), query, body))
            return _with_rate(response, allowance) if allowance else response

        return answer

    async def refuse(request: Request, exc: Exception) -> Response:
        assert isinstance(exc, Refusal)  # noqa: S101 - registered for nothing else
        return _json(exc.body, exc.status)

    routes = [Route(path, endpoint(handler), methods=[*methods]) for methods, path, handler in _TABLE]
    return Starlette(
        routes=[
            Route("/", _health),
            *routes,
            Route("/{path:path}", not_there, methods=_ALL_METHODS),
        ],
        exception_handlers={Refusal: refuse},
    )


async def _health(request: Request) -> Response:
    return _json({"message": "Fleetbase API", "version": "v1", "fleetbase": "0.7.12", "ms": 0.01})


def _authenticate(request: Request) -> None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key:
        raise framework(401, "Oops! No api credentials found with this request")
    if key == EXPIRED_KEY:
        raise framework(401, "These api credentials have expired")
    if key != keys.FLEETBASE_API_KEY:
        raise framework(401, "The api credentials provided were not valid")


def _list_orders(call: Call) -> Response:
    page = select(call.db, LISTS["orders"], call.query, ignore_in=call.options.ignore_in_filters)
    return _raw(b"[" + b",".join(wire.order_bytes(call.db, row) for row in page) + b"]")


def _list(path: str) -> Handler:
    table = LISTS[path]
    render = wire.RENDERERS[table.kind]

    def answer(call: Call) -> Response:
        page = select(call.db, table, call.query, ignore_in=call.options.ignore_in_filters)
        expand = call.query.expand()
        return _json([render(call.db, row, expand) for row in page])

    return answer


def _read(path: str) -> Handler:
    render = wire.RENDERERS[LISTS[path].kind]
    return lambda call: _json(render(call.db, _row(call, path), call.query.expand()))


def _row(call: Call, path: str) -> Row:
    """The row in the path, by public or internal id. Raises `Refusal` (404)."""
    table = LISTS[path]
    if table.rows:
        candidates = (row for row in table.rows(call.db) if call.id in (row["id"], row.get("tracking_number")))
        row = next(candidates, None)
    else:
        row = call.db.find(table.kind, call.id)
    if row is None:
        raise not_found(table.label)
    return row


def _create_order(call: Call) -> Response:
    row = orders.create(call.db, call.body)

    async def finish() -> None:
        orders.finish(call.db, row["id"])

    return _raw(wire.order_bytes(call.db, row), 201, BackgroundTask(finish))


def _read_order(call: Call) -> Response:
    return _raw(wire.order_bytes(call.db, orders.find(call.db, call.id)))


def _update_order(call: Call) -> Response:
    row = orders.update(call.db, orders.find(call.db, call.id), call.body)
    return _raw(wire.order_bytes(call.db, row))


def _delete_order(call: Call) -> Response:
    row = orders.find(call.db, call.id)
    orders.delete(call.db, row)
    return _json({"id": row["id"], "object": "order", "time": now(), "deleted": True})


def _dispatch_order(call: Call) -> Response:
    row = orders.dispatch(call.db, orders.find(call.db, call.id))
    return _raw(wire.order_bytes(call.db, row))


def _start_order(call: Call) -> Response:
    row = orders.start(call.db, orders.find(call.db, call.id), call.body)
    return _json(wire.order_after_activity(call.db, row))


def _update_activity(call: Call) -> Response:
    row = orders.update_activity(call.db, orders.find(call.db, call.id), call.body)
    return _json(wire.order_after_activity(call.db, row))


def _complete_order(call: Call) -> Response:
    row = orders.complete(call.db, orders.find(call.db, call.id))
    return _json(wire.order_after_activity(call.db, row))


def _cancel_order(call: Call) -> Response:
    row = orders.cancel(call.db, orders.find(call.db, call.id))
    return _json(wire.order_after_cancel(call.db, row))


def _track_order(call: Call) -> Response:
    show = tracking.legacy_tracker if call.options.legacy_tracker else tracking.tracker
    return _json(show(call.db, orders.find(call.db, call.id)))


def _order_eta(call: Call) -> Response:
    return _json(tracking.eta(call.db, orders.find(call.db, call.id)))


def _measure_order(call: Call) -> Response:
    row = orders.measure(call.db, orders.find(call.db, call.id))
    return _json({"distance": row["distance"], "time": row["time"]})


def _create_contact(call: Call) -> Response:
    """A contact of that name and address is written over. An `internal_id` is not taken."""
    problems = [f"The {key} field is required." for key in ("name", "type") if not call.body.get(key)]
    if call.body.get("email") and not intake.is_email(call.body["email"]):
        problems.append("The email field must be a valid email address.")
    if problems:
        raise invalid(problems)
    if "phone" not in call.body:
        raise framework(500, "Server Error")
    if "email" not in call.body:
        raise rejected('Undefined array key "email"')
    taken = ("name", "type", "title", "email", "phone", "meta")
    sent: Row = {key: value for key, value in call.body.items() if key in taken}
    with call.db.transaction():
        there = intake.contact_named(call.db, sent["name"], sent["email"])
        row = {**there, **sent, "updated_at": now()} if there else rows.contact(call.db, now(), sent)
        call.db.put("contact", row)
    return _json(wire.contact(call.db, row), 200 if there else 201)


def _create_place(call: Call) -> Response:
    """A place of that name and street is written over, whichever town it is in."""
    point = geo.parse_point(call.body.get("location")) or geo.parse_point(call.body)
    address = intake.address_of(call.body)
    if not point and not address:
        raise invalid(["The street1 field is required."])
    with call.db.transaction():
        there = intake.place_called(
            call.db, call.body.get("name") or call.body.get("street1"), call.body.get("street1")
        )
        row = rows.place(call.db, now(), point or geo.geocode(address), call.body)
        if there:
            row |= {"id": there["id"], "created_at": there["created_at"]}
        call.db.put("place", row)
    return _json(row, 200 if there else 201)


def _track(path: str) -> Handler:
    """A driver's or vehicle's new position."""
    kind = LISTS[path].kind

    def answer(call: Call) -> Response:
        row, point = _row(call, path), geo.parse_point(call.body)
        if point is None:
            raise invalid([f"The {key} field is required." for key in ("latitude", "longitude")])
        motion = {
            key: int(call.body[key]) for key in ("altitude", "heading", "speed") if _is_number(call.body.get(key))
        }
        with call.db.transaction():
            moved = call.db.put(kind, {**row, **motion, "location": point.geojson(), "updated_at": now()})
        return _json(wire.RENDERERS[kind](call.db, moved, call.query.expand()))

    return answer


def _toggle_online(call: Call) -> Response:
    row = _row(call, "drivers")
    online = intake.is_true(call.body["online"]) if "online" in call.body else not row["online"]
    with call.db.transaction():
        row = call.db.put("driver", {**row, "online": online, "updated_at": now()})
    return _json(wire.driver(call.db, row, call.query.expand()))


def _quote(call: Call) -> Response:
    made = quotes.create(call.db, call.query)
    return _json(made[0] if made and call.query.flag("single") else made)


def _read_quote(call: Call) -> Response:
    return _json(quotes.read(call.db, call.id))


def _organization(call: Call) -> Response:
    return _json(
        {
            "id": rows.COMPANY_ID,
            "name": rows.COMPANY_NAME,
            "description": None,
            "phone": None,
            "type": "logistics",
            "country": "AL",
            "currency": rows.CURRENCY,
            "timezone": "Europe/Tirane",
            "status": "active",
            **rows.stamps("2026-01-01T00:00:00.000000Z"),
        }
    )


_RESOURCES = [path for path in LISTS if path != "orders"]
_TABLE: list[tuple[tuple[str, ...], str, Handler]] = [
    (("GET",), "/v1/organizations/current", _organization),
    (("GET",), "/v1/orders", _list_orders),
    (("POST",), "/v1/orders", _create_order),
    (("GET",), "/v1/orders/{id}", _read_order),
    (("PUT",), "/v1/orders/{id}", _update_order),
    (("DELETE",), "/v1/orders/{id}", _delete_order),
    (("POST", "PATCH"), "/v1/orders/{id}/dispatch", _dispatch_order),
    (("POST",), "/v1/orders/{id}/start", _start_order),
    (("POST", "PATCH"), "/v1/orders/{id}/update-activity", _update_activity),
    (("POST",), "/v1/orders/{id}/complete", _complete_order),
    (("DELETE",), "/v1/orders/{id}/cancel", _cancel_order),
    (("GET",), "/v1/orders/{id}/tracker", _track_order),
    (("GET",), "/v1/orders/{id}/eta", _order_eta),
    (("GET",), "/v1/orders/{id}/distance-and-time", _measure_order),
    (("GET",), "/v1/service-quotes", _quote),
    (("GET",), "/v1/service-quotes/{id}", _read_quote),
    (("POST",), "/v1/contacts", _create_contact),
    (("POST",), "/v1/places", _create_place),
    (("POST",), "/v1/drivers/{id}/track", _track("drivers")),
    (("POST",), "/v1/vehicles/{id}/track", _track("vehicles")),
    (("POST",), "/v1/drivers/{id}/toggle-online", _toggle_online),
    *[(("GET",), f"/v1/{path}", _list(path)) for path in _RESOURCES],
    *[(("GET",), f"/v1/{path}/{{id}}", _read(path)) for path in _RESOURCES],
]


def _json_object(raw: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _json(body: object, status: int = 200) -> Response:
    return _raw(orjson.dumps(body), status)


def _raw(body: bytes, status: int = 200, background: BackgroundTask | None = None) -> Response:
    return Response(body, status, media_type="application/json", background=background)


def _with_rate(response: Response, allowance: Allowance) -> Response:
    response.headers["X-RateLimit-Limit"] = str(allowance.limit)
    response.headers["X-RateLimit-Remaining"] = str(allowance.remaining)
    if not allowance.granted:
        response.headers["Retry-After"] = str(allowance.retry_after_s)
    return response
