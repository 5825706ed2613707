"""Deliveries and the fleet as queries see them, and in how many calls."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from core.principals import Principal
from core.settings import Settings
from sandbox.faults import Fault
from sandbox.world import short
from schema import build_schema
from tests.callers import SERVICE, WORLD, client, person, user
from tests.market import Market, delivered

pytest_plugins = ["tests.backends"]

SCHEMA = build_schema(Settings())
CUSTOMER, STAFF = user(person("CUSTOMER")), user(person("STAFF"))
PLACES = """
    pickup: {name: "Depot", street: "Rruga 1", city: "Tirana", country: "al", latitude: 41.33, longitude: 19.82}
    dropoff: {street: "Rruga 2", city: "Tirana", postalCode: "1001", country: "AL", latitude: 41.32, longitude: 19.81}
"""


async def ask(market: Market, principal: Principal, document: str, **variables: Any) -> Any:
    """The data of an operation that has no errors."""
    data, codes = await try_to(market, principal, document, **variables)
    assert codes == {}
    return data


async def try_to(market: Market, principal: Principal, document: str, **variables: Any) -> tuple[Any, dict[str, str]]:
    """The data of an operation, and its errors' codes by field."""
    result = await SCHEMA.execute(document, context_value=market.context(principal), variable_values=variables)
    codes = {".".join(map(str, error.path or ())): (error.extensions or {})["code"] for error in result.errors or ()}
    return result.data, codes


async def test_a_delivery_shows_everything_about_it(market: Market) -> None:
    order = next(order for order in reversed(WORLD.delivered) if order.customer is not None)
    n, driver = order.n, WORLD.drivers[order.n % len(WORLD.drivers)]
    market.couriers.change(n, status="started", started=True)
    data = await ask(
        market,
        SERVICE,
        """query ($id: ID!) { delivery(id: $id) {
            id internalId status trackingNumber etaSeconds distanceMeters scheduledAt createdAt updatedAt
            driver { id name phone status online location { latitude longitude } vehicle { id } }
            vehicle { id name plateNumber make model status }
            order { id displayId }
            pickup { name street city postalCode country location { latitude longitude } }
            dropoff { street }
            location { latitude longitude }
            events { code status details location { latitude } createdAt }
        } }""",
        id=short("order", n),
    )
    found = data["delivery"]
    assert (found["internalId"], found["status"]) == (order.id, "started")
    assert found["order"] == {"id": order.id, "displayId": n}
    assert found["trackingNumber"].startswith("ACM")
    assert found["etaSeconds"] > 0
    assert found["distanceMeters"] > 0
    where = {"latitude": round(driver.latitude, 6), "longitude": round(driver.longitude, 6)}
    assert found["driver"] == {
        "id": driver.id,
        "name": driver.name,
        "phone": driver.phone,
        "status": "active",
        "online": True,
        "location": where,
        "vehicle": {"id": driver.vehicle_id},
    }
    assert found["location"] == where
    assert found["vehicle"]["plateNumber"] == driver.plate
    start = order.client.pickup
    assert found["pickup"] == {
        "name": start.name,
        "street": start.street,
        "city": start.city,
        "postalCode": start.postal_code,
        "country": start.country,
        "location": {"latitude": start.latitude, "longitude": start.longitude},
    }
    assert found["dropoff"]["street"]
    assert found["events"][-1] | {"createdAt": None} == {
        "code": "CREATED",
        "status": "Order Created",
        "details": "New order was created.",
        "location": None,
        "createdAt": None,
    }
    assert found["createdAt"].endswith("+00:00")
    paths = Counter(market.couriers.paths)
    path = f"GET /v1/orders/{short('order', n)}"
    assert paths == {path: 1, f"{path}/tracker": 1, "GET /v1/drivers": 1}


async def test_fifty_deliveries_with_driver_and_order_are_one_call_of_each_backend(market: Market) -> None:
    data = await ask(
        market, SERVICE, "{ deliveries(first: 50) { nodes { id driver { name vehicle { name } } order { id } } } }"
    )
    nodes = data["deliveries"]["nodes"]
    assert len(nodes) == 50
    with_order = [node for node in nodes if node["id"] in set(delivered())]
    assert len(with_order) > 40
    assert all(node["driver"]["vehicle"]["name"] and node["order"]["id"] for node in with_order)
    assert market.couriers.paths == ["GET /v1/orders", "GET /v1/drivers"]
    assert market.shop.paths == ["GET /admin/orders"]


async def test_deliveries_of_fifty_orders_are_one_call(market: Market) -> None:
    data = await ask(
        market,
        SERVICE,
        "{ orders(first: 50) { nodes { id deliveries { id } delivery { id trackingNumber driver { name phone } } } } }",
    )
    nodes = data["orders"]["nodes"]
    assert [node["delivery"]["id"] for node in nodes] == delivered()[:50]
    assert all(node["deliveries"] == [{"id": node["delivery"]["id"]}] for node in nodes)
    assert market.couriers.paths == ["GET /v1/orders"]


async def test_the_fleet_is_a_call_for_each_list(market: Market) -> None:
    data = await ask(
        market,
        STAFF,
        """{ drivers(first: 5) { totalCount nodes { id vehicle { plateNumber } } pageInfo { hasNextPage } }
             vehicles { nodes { id } }
             fleets { nodes { name status drivers { id name vehicle { id } } vehicles { id } } }
             serviceZones { id name border } }""",
    )
    assert data["drivers"]["totalCount"] is None
    assert data["drivers"]["pageInfo"]["hasNextPage"]
    assert all(node["vehicle"]["plateNumber"] for node in data["drivers"]["nodes"])
    assert len(data["vehicles"]["nodes"]) == 12
    for fleet in data["fleets"]["nodes"]:
        assert {driver["vehicle"]["id"] for driver in fleet["drivers"]} == {each["id"] for each in fleet["vehicles"]}
    assert {zone["border"]["type"] for zone in data["serviceZones"]} == {"Polygon"}
    counted = Counter(market.couriers.paths)
    assert counted == {"GET /v1/drivers": 2, "GET /v1/vehicles": 1, "GET /v1/fleets": 1, "GET /v1/service-areas": 1}


async def test_customers_see_their_drivers_but_no_fleet_and_change_nothing(market: Market) -> None:
    data, codes = await try_to(
        market,
        CUSTOMER,
        "{ deliveries { nodes { driver { name } } } drivers { nodes { id } } vehicles { nodes { id } }"
        " fleets { nodes { id } } serviceZones { id } }",
    )
    assert codes == dict.fromkeys(("drivers", "vehicles", "fleets"), "FORBIDDEN")
    assert data["deliveries"]["nodes"]
    assert all(node["driver"]["name"] for node in data["deliveries"]["nodes"])
    assert len(data["serviceZones"]) == 4
    market.forget_calls()
    _, codes = await try_to(
        market,
        CUSTOMER,
        f"mutation {{ createDelivery(input: {{ {PLACES} }}) {{ id }}"
        f' cancelDelivery(id: "{delivered(0)[0]}") {{ id }} }}',
    )
    assert codes == {"createDelivery": "FORBIDDEN", "cancelDelivery": "FORBIDDEN"}
    assert market.couriers.paths == []


async def test_a_filter_reaches_the_list(market: Market) -> None:
    ids = [order.id for order in WORLD.delivered[-3:]]
    data = await ask(
        market,
        SERVICE,
        "query ($ids: [ID!]) { deliveries(filter: {orderIds: $ids}) { totalCount edges { cursor node { internalId } } }"
        ' done: deliveries(first: 100, filter: {status: "completed"}) { nodes { status } }'
        f' drove: deliveries(filter: {{driverId: "{WORLD.drivers[0].id}"}}) {{ nodes {{ driver {{ id }} }} }} }}',
        ids=ids,
    )
    assert [edge["node"]["internalId"] for edge in data["deliveries"]["edges"]] == ids[::-1]
    assert data["deliveries"]["totalCount"] == 3
    assert {node["status"] for node in data["done"]["nodes"]} == {"completed"}
    assert {node["driver"]["id"] for node in data["drove"]["nodes"]} == {WORLD.drivers[0].id}


async def test_a_delivery_is_made_once_joined_and_canceled(market: Market) -> None:
    order = next(order for order in WORLD.orders if order.client is WORLD.clients[0])
    create = f"""mutation ($order: ID!, $driver: ID!) {{ createDelivery(input: {{
        orderId: $order driverId: $driver scheduledAt: "2026-07-01T10:00:00+02:00" notes: "Ring twice" {PLACES}
    }}) {{
        id status scheduledAt driver {{ id }} order {{ id delivery {{ id }} }} pickup {{ country postalCode }}
    }} }}"""
    driver = WORLD.drivers[2].id
    made = (await ask(market, STAFF, create, order=order.id, driver=driver))["createDelivery"]
    assert made == {
        "id": made["id"],
        "status": "created",
        "scheduledAt": "2026-07-01T08:00:00+00:00",
        "driver": {"id": driver},
        "order": {"id": order.id, "delivery": {"id": made["id"]}},
        "pickup": {"country": "AL", "postalCode": None},
    }
    assert await ask(market, STAFF, create, order=order.id, driver=driver) == {"createDelivery": made}
    assert len(market.couriers.new_deliveries) == 1
    assert market.couriers.new_deliveries[0]["notes"] == "Ring twice"
    cancel = "mutation ($id: ID!) { cancelDelivery(id: $id) { id status driver { id } order { delivery { id } } } }"
    expected = {"id": made["id"], "status": "canceled", "driver": {"id": driver}, "order": {"delivery": None}}
    for _ in range(2):
        assert await ask(market, STAFF, cancel, id=made["id"]) == {"cancelDelivery": expected}


@pytest.mark.parametrize(
    ("field", "code"),
    [
        (f'createDelivery(input: {{ orderId: "order_x" {PLACES} }}) {{ id }}', "NOT_FOUND"),
        (f'createDelivery(input: {{ orderId: "" {PLACES} }}) {{ id }}', "NOT_FOUND"),
        (f'createDelivery(input: {{ scheduledAt: "9999-12-31T23:00:00-14:00" {PLACES} }}) {{ id }}', "BAD_USER_INPUT"),
        (f'createDelivery(input: {{ driverId: "driver_x" {PLACES} }}) {{ id }}', "UPSTREAM_REJECTED"),
        ('createDelivery(input: { pickup: {street: "a", city: "b", country: "Albania"}'
         ' dropoff: {street: "a", city: "b", country: "AL"} }) { id }', "BAD_USER_INPUT"),
        (f'cancelDelivery(id: "{delivered(1)[0]}") {{ id }}', "NOT_FOUND"),
        (f'cancelDelivery(id: "{delivered(0)[-1]}") {{ id }}', "CONFLICT"),
    ],
    ids=["foreign order", "no order's id", "no time", "unknown driver", "no country", "foreign delivery", "completed"],
)  # fmt: skip
async def test_refusals_are_errors_with_a_code(market: Market, field: str, code: str) -> None:
    data, codes = await try_to(market, STAFF, f"mutation {{ {field} }}")
    name = field.partition("(")[0]
    assert codes == {name: code}
    assert data == {name: None}
    assert market.couriers.new_deliveries == []


async def test_without_the_shops_scope_deliveries_are_there_and_their_orders_are_not(market: Market) -> None:
    narrowed = replace(SERVICE, scopes=frozenset({"logistics:read"}))
    data, codes = await try_to(market, narrowed, f'{{ delivery(id: "{delivered()[0]}") {{ id order {{ id }} }} }}')
    assert data == {"delivery": {"id": delivered()[0], "order": None}}
    assert codes == {"delivery.order": "FORBIDDEN"}


async def test_when_the_couriers_answer_garbage_everything_else_is_there(market: Market) -> None:
    market.couriers.line.faults = [Fault("malformed")]
    result = await SCHEMA.execute(
        "{ orders(first: 3) { nodes { id delivery { id } } } serviceZones { id } }",
        context_value=market.context(client(0)),
    )
    assert result.data is not None
    assert [node["delivery"] for node in result.data["orders"]["nodes"]] == [None] * 3
    assert result.data["serviceZones"] is None
    told = {(told["code"], told["source"]) for told in (error.extensions or {} for error in result.errors or ())}
    assert told == {("UPSTREAM_BAD_RESPONSE", "FLEETBASE")}


async def test_deliveries_of_a_list_of_users_are_fetched_together(market: Market) -> None:
    ids = [person("CUSTOMER", 0, n).id for n in range(5)]
    page = await ask(
        market,
        SERVICE,
        "query ($orders: [ID!]) { deliveries(filter: {orderIds: $orders}) { nodes { order { customer { id"
        " deliveries(first: 1) { nodes { id } } } } } } }",
        orders=[order.id for order in WORLD.delivered if order.customer and order.customer.id in ids][-5:],
    )
    seen = {node["order"]["customer"]["id"]: node["order"]["customer"] for node in page["deliveries"]["nodes"]}
    assert len(seen) > 1
    for user_id, customer in seen.items():
        newest = next(o for o in reversed(WORLD.delivered) if o.customer and o.customer.id == user_id)
        assert customer["deliveries"]["nodes"] == [{"id": short("order", newest.n)}]
    assert market.couriers.paths == ["GET /v1/orders"] * 2
    assert len(market.shop.paths) == 2


# -- when it arrives -------------------------------------------------------------------------------------------------


def under_way(market: Market) -> str:
    """A delivery whose driver is on the road."""
    n = next(order for order in reversed(WORLD.delivered) if order.customer is not None).n
    driver = WORLD.drivers[0].id
    market.couriers.change(n, status="started", started=True, driver_assigned=driver, time=1)
    return short("order", n)


ETA = "query ($id: ID!) { delivery(id: $id) { etaSeconds } }"


async def test_a_delivery_that_is_asked_for_by_itself_tells_when_it_arrives(market: Market) -> None:
    delivery_id = under_way(market)
    alone = await ask(market, SERVICE, ETA, id=delivery_id)
    tracked = await market.couriers.fleetbase.tracking(delivery_id)
    assert tracked is not None
    assert alone["delivery"]["etaSeconds"] == tracked.eta_seconds != 1
    among = await ask(market, SERVICE, "{ deliveries(first: 100) { nodes { id etaSeconds } } }")
    assert [node["etaSeconds"] for node in among["deliveries"]["nodes"] if node["id"] == delivery_id] == [1]


async def test_lists_track_nothing(market: Market) -> None:
    under_way(market)
    await ask(market, SERVICE, "{ deliveries(first: 50) { nodes { id etaSeconds } } }")
    assert market.couriers.paths == ["GET /v1/orders"]


async def test_who_does_not_ask_when_costs_no_tracking(market: Market) -> None:
    delivery_id = under_way(market)
    await ask(market, SERVICE, "query ($id: ID!) { delivery(id: $id) { status } }", id=delivery_id)
    assert market.couriers.paths == [f"GET /v1/orders/{delivery_id}"]


@pytest.mark.parametrize("changes", [{"driver_assigned": None}, {"status": "completed"}, {"status": "canceled"}])
async def test_what_nobody_carries_is_not_tracked(market: Market, changes: dict[str, Any]) -> None:
    delivery_id = under_way(market)
    market.couriers.change(int(delivery_id.removeprefix("order_demo")), **changes)
    assert await ask(market, SERVICE, ETA, id=delivery_id) == {"delivery": {"etaSeconds": 1}}
    assert market.couriers.paths == [f"GET /v1/orders/{delivery_id}"]


@pytest.mark.parametrize("status", [404, 500])
async def test_without_a_tracker_the_route_tells(market: Market, status: int) -> None:
    delivery_id = under_way(market)
    market.couriers.line.faults = [Fault("status", path=r".*/tracker", status=status)]
    assert await ask(market, SERVICE, ETA, id=delivery_id) == {"delivery": {"etaSeconds": 1}}


# -- what it costs ---------------------------------------------------------------------------------------------------


QUOTES = f"{{ deliveryQuotes(input: {{ {PLACES} }}) {{ id amount {{ amount currency }} serviceName expiresAt }} }}"


async def test_quotes_are_told_in_major_units(market: Market) -> None:
    found = (await ask(market, CUSTOMER, QUOTES))["deliveryQuotes"]
    rows = {row["id"]: row for row in market.couriers.store.rows("service_quote")}
    assert [quote["serviceName"] for quote in found] == ["City standard", "City express"]
    for quote in found:
        assert Decimal(quote["amount"]["amount"]) * 100 == rows[quote["id"]]["amount"]
        assert quote["amount"]["currency"] == "EUR"
        assert datetime.fromisoformat(quote["expiresAt"]) > datetime.now(UTC)


async def test_a_place_that_is_half_a_pair_of_coordinates_is_refused(market: Market) -> None:
    data, codes = await try_to(market, CUSTOMER, QUOTES.replace("longitude: 19.82", ""))
    assert (data, codes) == ({"deliveryQuotes": None}, {"deliveryQuotes": "BAD_USER_INPUT"})
    assert market.couriers.paths == []
