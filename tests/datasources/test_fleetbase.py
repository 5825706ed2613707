"""Fleetbase's wire: by samples of it, then against the simulator."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import httpx
import orjson
import pytest
from msgspec import UNSET
from pydantic import SecretStr

from core import operation
from core.address import Address
from core.errors import (
    BackendBadResponse,
    BackendRateLimited,
    BackendRejected,
    BackendTimeout,
    BackendUnavailable,
    Conflict,
    NotFound,
)
from core.settings import FleetbaseSettings
from core.signals import LocalSignals
from datasources.fleetbase import Fleetbase, NewDelivery, PointRecord
from datasources.rows import DELIVERIES, SHARDS
from sandbox import keys
from sandbox.faults import Fault, FaultLine
from sandbox.fleetbase import Options, create_app
from sandbox.world import short, ulid
from tests.callers import WORLD
from tests.market import Couriers

pytest_plugins = ["tests.backends"]

HERE = Address(name="Depot", street="Rruga 1", city="Tirana", country="AL", latitude=41.33, longitude=19.82)
THERE = Address(street="Rruga 2", city="Tirana", postal_code="1001", country="AL", phone="+355690000001")
REFERENCE = ulid("order", 1)  # one of the orders without delivery
NEW = NewDelivery(internal_id=REFERENCE, pickup=HERE, dropoff=THERE)

Answer = Callable[[httpx.Request], httpx.Response]


class Wire:
    """Fleetbase as one function, and what it was asked."""

    def __init__(self, answer: Answer, **settings: Any) -> None:
        self.requests: list[httpx.Request] = []

        def handle(request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            return answer(request)

        client = httpx.AsyncClient(base_url="http://fleet", transport=httpx.MockTransport(handle))
        block = {"api_key": SecretStr("flb_test_x"), "rate_per_minute": None, **settings}
        self.fleetbase = Fleetbase(client, FleetbaseSettings(**block))

    @property
    def asked(self) -> list[dict[str, str]]:
        return [dict(request.url.params) for request in self.requests]


def delivery(id: str, **fields: object) -> dict[str, object]:
    """The least that is a delivery."""
    at = "2026-06-01T10:06:00.000000Z"
    return {"id": id, "internal_id": f"order_{id}", "status": "created", "created_at": at, "updated_at": at, **fields}


def always(body: object, status: int = 200, **headers: str) -> Answer:
    return lambda request: httpx.Response(status, json=body, headers=headers)


# -- records ---------------------------------------------------------------------------------------------------------


async def test_a_delivery_is_read_under_the_names_of_the_schema() -> None:
    body = delivery(
        "order_k3",
        internal_id="order_01J",
        status="enroute",
        started=True,
        distance=2130,
        time=410,
        scheduled_at="2026-06-02T08:30:00.000000Z",
        tracking_number={"id": "track_1", "tracking_number": "ACM0123456789AL", "qr_code": "iVBORw0KGgo="},
        payload={
            "pickup": {"name": "Depot", "street1": "Rruga 1", "address": "Rruga 1, Tirana", "city": "Tirana",
                       "postal_code": "1001", "country": "AL",
                       "location": {"type": "Point", "coordinates": [19.82, 41.33]}},
            "dropoff": {"address": "Rruga 2, Tirana", "location": {"type": "Point", "coordinates": [0, 0]}},
        },
        driver_assigned={"id": "driver_1", "name": "Bo Berg", "phone": "+355690000001", "online": True,
                         "token": "secret", "location": {"type": "Point", "coordinates": [19.81, 41.32]}},
        vehicle_assigned={"id": "vehicle_1", "name": "Van 3", "plate_number": "AB-1234"},
        custom_field={"anything": 1},
    )  # fmt: skip
    found = await Wire(always(body)).fleetbase.delivery("order_k3")
    assert found is not None
    assert (found.id, found.internal_id, found.order_id, found.status) == (
        "order_k3",
        "order_01J",
        "order_01J",
        "enroute",
    )
    assert found.tracking_number == "ACM0123456789AL"
    assert (found.distance_meters, found.eta_seconds) == (2130, 410)
    assert found.scheduled_at == datetime(2026, 6, 2, 8, 30, tzinfo=UTC)
    assert found.created_at == datetime(2026, 6, 1, 10, 6, tzinfo=UTC)
    assert found.pickup is not None
    assert found.pickup.street == "Rruga 1"
    assert found.pickup.location == PointRecord(latitude=41.33, longitude=19.82)
    assert found.dropoff is not None
    assert found.dropoff.street == "Rruga 2, Tirana"
    assert found.dropoff.location is None
    assert found.driver is not None
    assert (found.driver.name, found.driver.phone, found.driver.vehicle) == ("Bo Berg", "+355690000001", UNSET)
    assert found.vehicle is not None
    assert found.vehicle.plate_number == "AB-1234"
    assert "secret" not in repr(found)
    assert "iVBORw0KGgo" not in repr(found)


def status(code: str, minute: int, coordinates: list[float]) -> dict[str, object]:
    at = f"2026-06-01T10:{minute:02}:00.000000Z"
    return {"code": code, "status": code.title(), "location": {"coordinates": coordinates}, "created_at": at}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"status": "enroute", "started": True}, PointRecord(3, 3)),
        ({"status": "completed", "started": True}, PointRecord(2, 2)),
        ({"status": "dispatched", "started": False}, PointRecord(2, 2)),
        ({"status": "created", "tracking_statuses": [status("CREATED", 1, [0, 0])]}, None),
    ],
)
async def test_a_delivery_is_with_its_driver_only_while_it_is_under_way(
    fields: dict[str, object], expected: PointRecord | None
) -> None:
    history = [status("DISPATCHED", 2, [2, 2]), status("CREATED", 1, [0, 0])]
    driver = {"id": "driver_1", "name": "Bo", "location": {"coordinates": [3, 3]}}
    body = delivery("order_1", tracking_statuses=history, driver_assigned=driver) | fields
    found = await Wire(always(body)).fleetbase.delivery("order_1")
    assert found is not None
    assert found.location == expected


async def test_events_are_newest_first_and_their_zero_point_is_unknown() -> None:
    body = delivery("order_1", tracking_statuses=[status("CREATED", 1, [0, 0]), status("DISPATCHED", 2, [19.8, 41.3])])
    found = await Wire(always(body)).fleetbase.delivery("order_1")
    assert found is not None
    assert [event.code for event in found.events] == ["DISPATCHED", "CREATED"]
    assert [event.location for event in found.events] == [PointRecord(41.3, 19.8), None]


async def test_what_an_answer_leaves_out_is_null_and_unknown_statuses_pass() -> None:
    found = await Wire(
        always(delivery("order_1", status="awaiting_customs", internal_id="AC123456"))
    ).fleetbase.delivery("order_1")
    assert found is not None
    assert (found.status, found.is_finished, found.order_id) == ("awaiting_customs", False, None)
    assert (found.driver, found.vehicle, found.pickup, found.dropoff, found.tracking_number, found.location) == (
        None,
    ) * 6
    assert found.events == []


async def test_a_driver_whose_account_is_gone_is_called_by_their_id() -> None:
    found = await Wire(always([{"id": "driver_1", "name": None, "vehicle": None}])).fleetbase.drivers(limit=1)
    assert [(driver.name, driver.vehicle) for driver in found] == [("driver_1", None)]


async def test_a_wrong_type_names_the_field() -> None:
    with pytest.raises(BackendBadResponse, match=r"\$\.status"):
        await Wire(always(delivery("order_1", status=7))).fleetbase.delivery("order_1")


# -- batches ---------------------------------------------------------------------------------------------------------


def listed(*rows: dict[str, object]) -> Answer:
    """A list that knows `internal_id_in` and `public_id_in`, `limit` and `offset`."""

    def answer(request: httpx.Request) -> httpx.Response:
        params = request.url.params
        column = "internal_id" if "internal_id_in" in params else "public_id"
        wanted = params[f"{column}_in"].split(",")
        fitting = [row for row in rows if row["id" if column == "public_id" else column] in wanted]
        offset = int(params["offset"])
        return httpx.Response(200, json=fitting[offset : offset + int(params["limit"])])

    return answer


async def test_a_batch_is_one_comma_string_and_one_call() -> None:
    wire = Wire(listed(delivery("b"), delivery("a")))
    found = await wire.fleetbase.deliveries_by_order_ids(["order_a", "order_x", "order_b", "order_a"])
    assert {row.id for row in found} == {"a", "b"}
    assert wire.asked == [
        {"internal_id_in": "order_a,order_x,order_b", "sort": "-created_at", "limit": "100", "offset": "0"}
    ]


async def test_ids_are_asked_in_hundreds() -> None:
    ids = [f"d{n}" for n in range(201)]
    wire = Wire(listed(*map(delivery, ids)))
    assert {row.id for row in await wire.fleetbase.deliveries_by_ids(ids)} == set(ids)
    assert [len(asked["public_id_in"].split(",")) for asked in wire.asked] == [100, 100, 1]


async def test_a_full_page_has_a_next_one() -> None:
    """One order may have several deliveries."""
    rows = [delivery(f"d{n}", internal_id="order_1") for n in range(150)]
    wire = Wire(listed(*rows))
    assert len(await wire.fleetbase.deliveries_by_order_ids(["order_1"])) == 150
    assert [asked["offset"] for asked in wire.asked] == ["0", "100"]


async def test_deliveries_of_an_order_are_newest_first() -> None:
    rows = [delivery(row_id, internal_id="order_1", created_at=at) for row_id, at in (
        ("old", "2026-06-01T10:00:00.000000Z"), ("new", "2026-06-03T10:00:00.000000Z"),
        ("tie_a", "2026-06-02T10:00:00.000000Z"), ("tie_b", "2026-06-02T10:00:00.000000Z"),
    )]  # fmt: skip
    found = await Wire(listed(*rows)).fleetbase.deliveries_by_order_ids(["order_1"])
    assert [row.id for row in found] == ["new", "tie_b", "tie_a", "old"]


@pytest.mark.parametrize("ids", [[], [""], ["a,b"]])
async def test_an_id_that_no_row_can_have_costs_no_call(ids: list[str]) -> None:
    wire = Wire(always([]))
    assert await wire.fleetbase.deliveries_by_ids(ids) == []
    assert await wire.fleetbase.deliveries_by_order_ids(ids) == []
    assert wire.requests == []


@pytest.mark.parametrize("id", ["", ".", ".."])
async def test_an_id_that_is_no_part_of_a_path_is_not_there(id: str) -> None:
    wire = Wire(always([]))
    assert await wire.fleetbase.delivery(id) is None
    assert wire.requests == []


async def test_a_single_read_takes_no_other_kind_of_id() -> None:
    assert await Wire(always(delivery("d1"))).fleetbase.delivery("order_d1") is None


async def test_a_list_over_several_answers_is_one_list() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        offset, limit = int(request.url.params["offset"]), int(request.url.params["limit"])
        return httpx.Response(200, json=[delivery(f"d{n}") for n in range(offset, offset + limit)])

    wire = Wire(answer)
    found = await wire.fleetbase.deliveries(limit=101, offset=5, status="created,enroute", driver_id="driver_1")
    assert [row.id for row in found] == [f"d{n}" for n in range(5, 106)]
    assert [(asked["limit"], asked["offset"]) for asked in wire.asked] == [("100", "5"), ("1", "105")]
    assert all((asked["status"], asked["driver"]) == ("created,enroute", "driver_1") for asked in wire.asked)


# -- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (400, {"error": "No driver assigned to dispatch!"}, "No driver assigned to dispatch!"),
        (422, {"error": "The pickup field is required.", "errors": ["x", "y"]}, "The pickup field is required."),
        (403, {"errors": ["<b>Forbidden</b> at https://fleet.example/x"]}, "Forbidden at"),
        (401, {"errors": ["The api credentials provided were not valid"]}, "credentials"),
        (400, "no object", "fleetbase answered 400"),
    ],
)
async def test_refusals_in_either_shape_become_ours(status: int, body: object, message: str) -> None:
    with pytest.raises(BackendRejected, match=message) as caught:
        await Wire(always(body, status)).fleetbase.drivers(limit=1)
    assert caught.value.status == status
    assert "://" not in str(caught.value)


async def test_an_unknown_path_is_not_an_absent_row() -> None:
    with pytest.raises(BackendBadResponse, match="does not know this path"):
        await Wire(always({"errors": ["There is nothing to see here."]}, 404)).fleetbase.delivery("order_1")
    assert await Wire(always({"error": "Order resource not found."}, 404)).fleetbase.delivery("order_1") is None


async def test_a_used_up_limit_says_when_to_come_back() -> None:
    wire = Wire(always({"errors": ["Too many requests."]}, 429, **{"Retry-After": "17"}))
    with operation.running(operation.Operation(may_retry=False)), pytest.raises(BackendRateLimited) as caught:
        await wire.fleetbase.drivers(limit=1)
    assert caught.value.retry_after_s == 17


async def test_our_own_budget_is_kept_before_theirs_is_used_up() -> None:
    wire = Wire(always([]), rate_per_minute=2)
    for _ in range(2):
        await wire.fleetbase.drivers(limit=1)
    with pytest.raises(BackendRateLimited, match="budget"):
        await wire.fleetbase.drivers(limit=1)
    assert len(wire.requests) == 2


# -- creating --------------------------------------------------------------------------------------------------------


async def test_a_create_says_what_fleetbase_reads() -> None:
    wire = Wire(lambda request: httpx.Response(200, json=[] if request.method == "GET" else delivery("order_1")))
    at = datetime(2026, 6, 2, 8, 30, tzinfo=UTC)
    await wire.fleetbase.create_delivery(
        NewDelivery(REFERENCE, HERE, THERE, driver_id="driver_1", scheduled_at=at, notes="Ring twice")
    )
    assert orjson.loads(wire.requests[-1].content) == {
        "internal_id": REFERENCE,
        "pickup": {"name": "Depot", "street1": "Rruga 1", "city": "Tirana", "country": "AL",
                   "location": {"type": "Point", "coordinates": [19.82, 41.33]}},
        "dropoff": {"street1": "Rruga 2", "city": "Tirana", "postal_code": "1001", "country": "AL",
                    "phone": "+355690000001"},
        "driver": "driver_1",
        "scheduled_at": "2026-06-02T08:30:00Z",
        "notes": "Ring twice",
    }  # fmt: skip


async def test_a_create_has_half_a_minute() -> None:
    wire = Wire(lambda request: httpx.Response(201, json=[] if request.method == "GET" else delivery("order_1")))
    await wire.fleetbase.create_delivery(NEW)
    assert [request.extensions["timeout"]["read"] for request in wire.requests] == [8.0, 30.0]


# -- against the simulator -------------------------------------------------------------------------------------------


@pytest.fixture
async def old_server(couriers: Couriers) -> Couriers:
    """One that knows no `..._in` filters."""
    line = FaultLine(create_app(couriers.store, Options(ignore_in_filters=True)))
    client = httpx.AsyncClient(
        base_url="http://sandbox",
        transport=httpx.ASGITransport(line),
        headers={"Authorization": f"Bearer {keys.FLEETBASE_API_KEY}"},
    )
    return Couriers(couriers.store, line, Fleetbase(client, FleetbaseSettings(rate_per_minute=None)))


async def test_the_demo_worlds_deliveries_join_by_order(couriers: Couriers) -> None:
    ids = [order.id for order in WORLD.delivered[-50:]]
    found = await couriers.fleetbase.deliveries_by_order_ids(ids)
    assert {row.order_id for row in found} == set(ids)
    assert all(row.driver and row.vehicle and row.events and row.tracking_number for row in found)
    assert couriers.paths == ["GET /v1/orders"]


async def test_ping_needs_our_key(couriers: Couriers) -> None:
    await couriers.fleetbase.ping()
    couriers.fleetbase._client.headers["Authorization"] = "Bearer flb_test_wrong"
    with pytest.raises(BackendRejected):
        await couriers.fleetbase.ping()


async def test_drivers_vehicles_fleets_and_zones(couriers: Couriers) -> None:
    fleetbase = couriers.fleetbase
    drivers = await fleetbase.drivers(limit=5)
    assert len(drivers) == 5
    assert all(driver.vehicle for driver in drivers)
    again = await fleetbase.drivers_by_ids([driver.id for driver in drivers])
    assert sorted(again, key=lambda row: row.id) == sorted(drivers, key=lambda row: row.id)
    vehicles = await fleetbase.vehicles(limit=100)
    assert {vehicle.id for vehicle in vehicles} == {driver.vehicle_id for driver in WORLD.drivers}
    for fleet in await fleetbase.fleets(limit=10):
        assert {driver.id for driver in fleet.drivers or ()} == {
            driver.id for driver in WORLD.drivers if short("fleet", driver.fleet) == fleet.id
        }
        assert fleet.vehicles
    zones = await fleetbase.service_zones()
    assert {zone.name for zone in zones} == {"Kombinat", "Laprakë", "Centre", "Ali Demi"}
    assert zones[0].border["type"] == "Polygon"


async def test_an_ignored_filter_is_noticed_once_and_never_trusted(old_server: Couriers) -> None:
    ids = [order.id for order in WORLD.delivered[-8:]]
    found = await old_server.fleetbase.deliveries_by_order_ids([*ids, "order_x"])
    assert {row.order_id for row in found} == set(ids)
    assert old_server.paths == ["GET /v1/orders", *(f"GET /v1/orders/{each}" for each in [*ids, "order_x"])]
    old_server.line.calls.clear()
    assert len(await old_server.fleetbase.deliveries_by_order_ids(ids[:2])) == 2
    assert old_server.paths == [f"GET /v1/orders/{each}" for each in ids[:2]]


async def test_without_the_filter_five_are_read_at_a_time() -> None:
    running, most = 0, 0
    gate = asyncio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal running, most
        if request.url.path == "/v1/drivers":
            return httpx.Response(200, json=[{"id": "driver_foreign", "name": "Bo"}])
        running += 1
        most = max(most, running)
        if running == 5:
            gate.set()
        await gate.wait()
        running -= 1
        return httpx.Response(200, json={"id": request.url.path.rpartition("/")[2], "name": "Bo"})

    client = httpx.AsyncClient(base_url="http://fleet", transport=httpx.MockTransport(answer))
    fleetbase = Fleetbase(client, FleetbaseSettings(rate_per_minute=None))
    ids = [f"driver_{n}" for n in range(12)]
    assert [row.id for row in await fleetbase.drivers_by_ids(ids)] == ids
    assert most == 5


async def test_an_order_gets_one_delivery_however_often_it_is_created(couriers: Couriers) -> None:
    first = await couriers.fleetbase.create_delivery(NEW)
    assert (first.order_id, first.status) == (REFERENCE, "created")
    second = await couriers.fleetbase.create_delivery(NEW)
    assert second.id == first.id
    assert len(couriers.new_deliveries) == 1


async def test_creates_at_the_same_time_make_one_delivery(couriers: Couriers) -> None:
    made = await asyncio.gather(*(couriers.fleetbase.create_delivery(NEW) for _ in range(4)))
    assert len({row.id for row in made}) == 1
    assert len(couriers.new_deliveries) == 1


async def test_a_canceled_delivery_makes_room_for_another(couriers: Couriers) -> None:
    first = await couriers.fleetbase.create_delivery(NEW)
    await couriers.fleetbase.cancel_delivery(first.id)
    second = await couriers.fleetbase.create_delivery(NEW)
    assert second.id != first.id
    assert [row.id for row in await couriers.fleetbase.deliveries_by_order_ids([REFERENCE])] == [second.id, first.id]


@pytest.mark.parametrize("kind", ["status", "malformed"])
async def test_a_create_whose_answer_is_lost_is_found_again(couriers: Couriers, kind: Any) -> None:
    couriers.line.faults = [Fault(kind, "after", method="POST", path="/v1/orders", status=502)]
    made = await couriers.fleetbase.create_delivery(NEW)
    assert [row["id"] for row in couriers.new_deliveries] == [made.id]
    assert couriers.paths == ["GET /v1/orders", "POST /v1/orders", "GET /v1/orders"]


@pytest.mark.parametrize("kind", ["status", "malformed"])
async def test_a_create_that_never_happened_fails_and_is_not_repeated(couriers: Couriers, kind: Any) -> None:
    couriers.line.faults = [Fault(kind, "before", method="POST", path="/v1/orders", status=502)]
    with pytest.raises(BackendBadResponse if kind == "malformed" else BackendUnavailable):
        await couriers.fleetbase.create_delivery(NEW)
    assert couriers.new_deliveries == []
    assert couriers.paths.count("POST /v1/orders") == 1


@pytest.mark.parametrize(
    ("lost", "error"), [(httpx.ReadTimeout, BackendTimeout), (httpx.ReadError, BackendUnavailable)]
)
@pytest.mark.parametrize("happened", [True, False])
async def test_a_create_that_nobody_saw_end_is_looked_for(
    lost: type[httpx.TransportError], error: type[Exception], happened: bool
) -> None:
    there: list[dict[str, object]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json=there)
        if happened:
            there.append(delivery("order_1", internal_id=REFERENCE))
        raise lost("", request=request)

    wire = Wire(answer)
    if happened:
        assert (await wire.fleetbase.create_delivery(NEW)).id == "order_1"
    else:
        with pytest.raises(error):
            await wire.fleetbase.create_delivery(NEW)
    assert [request.method for request in wire.requests] == ["GET", "POST", "GET"]


async def test_a_refused_create_says_why(couriers: Couriers) -> None:
    with pytest.raises(BackendRejected, match="The selected driver is invalid") as caught:
        await couriers.fleetbase.create_delivery(NewDelivery(REFERENCE, HERE, THERE, driver_id="driver_x"))
    assert caught.value.status == 422
    assert couriers.new_deliveries == []


async def test_canceling_twice_is_canceling_once(couriers: Couriers) -> None:
    driver = WORLD.drivers[0]
    made = await couriers.fleetbase.create_delivery(NewDelivery(REFERENCE, HERE, THERE, driver_id=driver.id))
    couriers.line.calls.clear()
    canceled = await couriers.fleetbase.cancel_delivery(made.id)
    assert canceled.status == "canceled"
    assert canceled.driver is not None
    assert canceled.driver.id == driver.id
    assert [event.code for event in canceled.events] == ["CANCELED", "CREATED"]
    again = await couriers.fleetbase.cancel_delivery(made.id)
    assert len(again.events) == 2
    assert [path.split()[0] for path in couriers.paths] == ["GET", "DELETE", "GET", "GET"]


async def test_what_has_been_delivered_cannot_be_canceled(couriers: Couriers) -> None:
    done = short("order", WORLD.delivered[0].n)
    with pytest.raises(Conflict):
        await couriers.fleetbase.cancel_delivery(done)
    with pytest.raises(NotFound):
        await couriers.fleetbase.cancel_delivery("order_x")
    assert all(path.startswith("GET") for path in couriers.paths)


# -- drivers, dispatch, tracking -------------------------------------------------------------------------------------


def unassigned(couriers: Couriers) -> str:
    """A delivery that nobody carries yet."""
    order = couriers.store.rows("order")[0]
    nobody = {"driver_assigned": None, "vehicle_assigned": None}
    past = {"tracking_statuses": order["tracking_statuses"][:1], "status": "created", "dispatched": False}
    couriers.store.put("order", order["id"], {**order, **nobody, **past})
    return str(order["id"])


async def test_a_driver_is_assigned_and_another_in_their_place(couriers: Couriers) -> None:
    delivery_id = unassigned(couriers)
    for driver in WORLD.drivers[:2]:
        after = await couriers.fleetbase.assign_driver(delivery_id, driver.id)
        assert (after.driver and after.driver.id, after.vehicle and after.vehicle.id) == (driver.id, driver.vehicle_id)


async def test_an_assignment_says_the_driver_and_nothing_of_the_payload() -> None:
    """Fleetbase spoils orders that are sent their payload again."""
    wire = Wire(always(delivery("order_1")))
    await wire.fleetbase.assign_driver("order_1", "driver_1")
    assert [(request.method, request.url.path) for request in wire.requests] == [
        ("GET", "/v1/orders/order_1"),
        ("PUT", "/v1/orders/order_1"),
        ("GET", "/v1/orders/order_1"),
    ]
    assert orjson.loads(wire.requests[1].content) == {"driver": "driver_1"}


async def test_nobody_is_assigned_to_what_has_ended_or_is_not_there(couriers: Couriers) -> None:
    delivery_id = unassigned(couriers)
    with pytest.raises(BackendRejected, match="driver"):
        await couriers.fleetbase.assign_driver(delivery_id, "driver_nobody")
    await couriers.fleetbase.cancel_delivery(delivery_id)
    with pytest.raises(Conflict):
        await couriers.fleetbase.assign_driver(delivery_id, WORLD.drivers[0].id)
    with pytest.raises(NotFound):
        await couriers.fleetbase.assign_driver("order_nobody", WORLD.drivers[0].id)


async def test_a_delivery_is_dispatched_once(couriers: Couriers) -> None:
    delivery_id = unassigned(couriers)
    with pytest.raises(BackendRejected, match="No driver assigned"):
        await couriers.fleetbase.dispatch_delivery(delivery_id)
    await couriers.fleetbase.assign_driver(delivery_id, WORLD.drivers[0].id)
    for _ in range(2):
        sent = await couriers.fleetbase.dispatch_delivery(delivery_id)
        assert (sent.status, sent.dispatched) == ("dispatched", True)
    assert [event.code for event in sent.events].count("DISPATCHED") == 1
    with pytest.raises(NotFound):
        await couriers.fleetbase.dispatch_delivery("order_nobody")


async def test_a_dispatch_whose_answer_is_lost_is_no_refusal(couriers: Couriers) -> None:
    delivery_id = unassigned(couriers)
    await couriers.fleetbase.assign_driver(delivery_id, WORLD.drivers[0].id)
    couriers.line.faults = [Fault("status", "after", method="POST", status=502, count=1)]
    sent = await couriers.fleetbase.dispatch_delivery(delivery_id)
    assert sent.dispatched


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"eta": {"completion_seconds": 260, "active_stop_seconds": 10}, "provider": "osrm"}, 260),
        ({"eta": {"completion_seconds": 12.6}}, 13),
        ({"eta": {"completion_seconds": None}}, None),
        ({"completion_eta": 371.5, "progress_percentage": 40}, 372),
        ({"completion_eta": -1}, None),
        ({}, None),
    ],
)
async def test_trackers_of_all_ages_tell_when_it_arrives(body: object, seconds: int | None) -> None:
    found = await Wire(always(body)).fleetbase.tracking("order_1")
    assert found is not None
    assert found.eta_seconds == seconds


async def test_a_tracker_that_fails_has_nothing_to_tell() -> None:
    wire = Wire(always({"error": "An error occured trying to track order."}, 404))
    assert await wire.fleetbase.tracking("order_1") is None


async def test_a_slow_route_engine_is_not_held_against_fleetbase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasources.fleetbase.TRACKER_TIMEOUT_S", 0.01)

    async def hang(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/tracker"):
            await asyncio.Event().wait()
        return httpx.Response(200, json=[])

    client = httpx.AsyncClient(base_url="http://fleet", transport=httpx.MockTransport(hang))
    backend = Fleetbase(client, FleetbaseSettings(api_key=SecretStr("flb_test_x"), rate_per_minute=None))
    for _ in range(6):
        with pytest.raises(BackendTimeout):
            await backend.tracking("order_1")
    assert await backend.drivers(limit=1) == []


async def test_a_delivery_under_way_is_tracked(couriers: Couriers) -> None:
    delivery_id = unassigned(couriers)
    alone = await couriers.fleetbase.tracking(delivery_id)
    assert alone is not None
    assert alone.eta_seconds is None
    await couriers.fleetbase.assign_driver(delivery_id, WORLD.drivers[0].id)
    carried = await couriers.fleetbase.tracking(delivery_id)
    assert carried is not None
    assert carried.eta_seconds is not None


# -- quotes ----------------------------------------------------------------------------------------------------------


def quoted(**fields: object) -> dict[str, object]:
    at = "2026-06-01T10:05:30.000000Z"
    return {"id": "quote_1", "amount": 770, "currency": "eur", "service_name": "City", "created_at": at, **fields}


async def test_quotes_come_in_minor_units_and_the_cheapest_is_first(couriers: Couriers) -> None:
    wire = Wire(always([quoted(id="quote_2", amount=1250, currency="JPY"), quoted(items=[{"id": None}])]))
    found = await wire.fleetbase.delivery_quotes(HERE, replace(HERE, latitude=-0.00001, longitude=19.8))
    assert [(quote.id, quote.amount, quote.currency) for quote in found] == [
        ("quote_1", Decimal("7.70"), "EUR"),
        ("quote_2", Decimal(1250), "JPY"),
    ]
    assert found[0].service_name == "City"
    assert found[0].expires_at == datetime(2026, 6, 1, 10, 15, 30, tzinfo=UTC)
    # Latitude first; and no currency, whose mere presence makes that no rate fits.
    assert wire.asked == [{"pickup": "41.330000,19.820000", "dropoff": "-0.000010,19.800000"}]


async def test_a_quote_that_says_how_long_it_holds_is_believed() -> None:
    wire = Wire(always([quoted(expired_at="2026-06-01T10:06:00.000000Z")]))
    [found] = await wire.fleetbase.delivery_quotes(HERE, HERE)
    assert found.expires_at == datetime(2026, 6, 1, 10, 6, tzinfo=UTC)


async def test_a_quote_in_no_currency_is_not_believed() -> None:
    with pytest.raises(BackendBadResponse):
        await Wire(always([quoted(currency="euro")])).fleetbase.delivery_quotes(HERE, HERE)


async def test_asking_for_quotes_writes_and_is_never_repeated(couriers: Couriers) -> None:
    couriers.line.faults = [Fault("status", "after", path="/v1/service-quotes", status=503)]
    with pytest.raises(BackendUnavailable):
        await couriers.fleetbase.delivery_quotes(HERE, HERE)
    assert couriers.paths == ["GET /v1/service-quotes"]
    assert len(couriers.store.rows("service_quote")) == 2


async def test_an_address_is_looked_up_by_fleetbase(couriers: Couriers) -> None:
    before = len(couriers.store.rows("place"))
    first = await couriers.fleetbase.delivery_quotes(HERE, THERE)
    again = await couriers.fleetbase.delivery_quotes(HERE, THERE)
    assert couriers.paths == ["POST /v1/places", "GET /v1/service-quotes"] * 2
    assert [quote.amount for quote in first] == [quote.amount for quote in again]
    assert {quote.id for quote in first}.isdisjoint({quote.id for quote in again})
    assert len(couriers.store.rows("place")) == before + 1


async def test_looking_up_an_address_leaves_other_peoples_places_alone(couriers: Couriers) -> None:
    """Fleetbase takes a place of one name and street for the same, and what is said of it last is true."""
    made = await couriers.fleetbase.create_delivery(
        NewDelivery(REFERENCE, HERE, replace(THERE, name="Rruga 2", street="Rruga 2"))
    )
    await couriers.fleetbase.delivery_quotes(HERE, replace(THERE, name="Rruga 2", city="Durres", postal_code="2001"))
    after = await couriers.fleetbase.delivery(made.id)
    assert after is not None
    assert after.dropoff == made.dropoff


async def test_an_address_that_is_nowhere_has_no_price() -> None:
    place = {"id": "place_1", "location": {"type": "Point", "coordinates": [0, 0]}}
    wire = Wire(lambda request: httpx.Response(200, json=place if request.method == "POST" else [quoted()]))
    with pytest.raises(BackendRejected, match="does not find this address"):
        await wire.fleetbase.delivery_quotes(HERE, THERE)
    assert [request.method for request in wire.requests] == ["POST"]


# -- who is told -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 500])
async def test_every_change_is_told_whether_or_not_it_came_off(status: int) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            body: object = delivery("order_1") if request.url.path.endswith("order_1") else []
            return httpx.Response(200, json=body)
        return httpx.Response(status, json=delivery("order_1"))

    signals, heard = LocalSignals(), list[int]()
    for shard in range(SHARDS):
        signals.on(DELIVERIES.topic(shard), partial(heard.append, 1))
    client = httpx.AsyncClient(base_url="http://fleet", transport=httpx.MockTransport(answer))
    settings = FleetbaseSettings(api_key=SecretStr("flb_test_x"), rate_per_minute=None)
    fleetbase = Fleetbase(client, settings, signals=signals)
    changes: list[Callable[[], Awaitable[object]]] = [
        partial(fleetbase.create_delivery, NEW),
        partial(fleetbase.cancel_delivery, "order_1"),
        partial(fleetbase.assign_driver, "order_1", "driver_1"),
        partial(fleetbase.dispatch_delivery, "order_1"),
    ]
    for change in changes:
        heard.clear()
        with suppress(BackendUnavailable):
            await change()
        assert heard
