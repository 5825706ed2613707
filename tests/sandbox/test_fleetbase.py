"""The Fleetbase simulator answers as its contract says, refusals included."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox import fleetbase, keys
from sandbox.fleetbase.queries import Query
from sandbox.fleetbase.routes import EXPIRED_KEY
from sandbox.rate import FixedWindow
from sandbox.store import Store
from sandbox.world import DELIVERIES, DRIVERS, World

KEY = {"authorization": f"Bearer {keys.FLEETBASE_API_KEY}"}
WORLD = World(datetime.now(UTC))
NEWEST, OLDEST = WORLD.delivered[-1], WORLD.delivered[0]
DELIVERY = {
    "internal_id": "order_01NEW",
    "pickup": {"name": "Depot", "street1": "Rruga 1", "city": "Tirana", "location": "41.33,19.80"},
    "dropoff": {
        "name": "Home",
        "street1": "Rruga 2",
        "city": "Tirana",
        "location": {"type": "Point", "coordinates": [19.84, 41.33]},
    },
    "meta": {"saga_id": "s1"},
}


def client_of(store: Store, options: fleetbase.Options | None = None) -> httpx.AsyncClient:
    app = fleetbase.create_app(store, options or fleetbase.Options())
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://fleet", headers=KEY)


@pytest.fixture(scope="module")
def seeded() -> Store:
    """For reading only."""
    store = Store(None)
    store.seed(fleetbase.seed)
    return store


@pytest.fixture
def store() -> Store:
    store = Store(None)
    store.seed(fleetbase.seed)
    return store


@pytest.fixture
async def world(seeded: Store) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(seeded) as client:
        yield client


@pytest.fixture
async def api(store: Store) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(store) as client:
        yield client


async def ids(client: httpx.AsyncClient, path: str) -> list[str]:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()]


async def created(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await client.post("/v1/orders", json=DELIVERY | changes)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def order(client: httpx.AsyncClient, id: str) -> dict[str, Any]:
    body: dict[str, Any] = (await client.get(f"/v1/orders/{id}")).json()
    return body


def codes(body: dict[str, Any]) -> list[str]:
    return [status["code"] for status in body["tracking_statuses"]]


# Who may call


async def test_health_needs_no_key(world: httpx.AsyncClient) -> None:
    answer = await world.get("/", headers={"authorization": ""})
    assert (answer.status_code, answer.json()["message"]) == (200, "Fleetbase API")


@pytest.mark.parametrize(
    ("authorization", "message"),
    [
        ("", "Oops! No api credentials found with this request"),
        ("Basic Zm9vOmJhcg==", "Oops! No api credentials found with this request"),
        ("Bearer flb_live_other", "The api credentials provided were not valid"),
        (f"Bearer {EXPIRED_KEY}", "These api credentials have expired"),
    ],
)
async def test_a_wrong_key_is_401(world: httpx.AsyncClient, authorization: str, message: str) -> None:
    answer = await world.get("/v1/orders", headers={"authorization": authorization})
    assert (answer.status_code, answer.json()) == (401, {"errors": [message]})


async def test_an_unknown_route_is_404_and_an_unsupported_one_501(world: httpx.AsyncClient) -> None:
    unknown = await world.get("/v1/nothing")
    assert (unknown.status_code, unknown.json()) == (404, {"errors": ["There is nothing to see here."]})
    for method, path in (("GET", "/v1/vendors"), ("DELETE", "/v1/drivers/x"), ("POST", "/v1/orders/x/schedule")):
        unsupported = await world.request(method, path)
        assert unsupported.status_code == 501
        assert path in unsupported.json()["errors"][0]


async def test_without_an_option_there_is_no_rate_limit(world: httpx.AsyncClient) -> None:
    assert "x-ratelimit-limit" not in (await world.get("/v1/organizations/current")).headers


async def test_over_the_rate_limit_the_answer_is_429(seeded: Store) -> None:
    async with client_of(seeded, fleetbase.Options(rate_per_minute=2)) as client:
        answers = [await client.get("/v1/drivers?limit=1") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining"] for answer in answers] == ["1", "0", "0"]
    assert answers[2].json() == {"errors": ["Too many requests."]}
    assert 0 < int(answers[2].headers["retry-after"]) <= 60


def test_a_rate_window_opens_again() -> None:
    clock = iter([100.0, 100.5, 159.9, 160.0])
    window = FixedWindow(1, 60, lambda: next(clock))
    assert [window.take().granted for _ in range(4)] == [True, False, False, True]


# Lists


async def test_a_list_is_a_bare_array_of_thirty(world: httpx.AsyncClient) -> None:
    assert await ids(world, "/v1/orders") == [f"order_demo{n:06d}" for n in range(81, 111)]


@pytest.mark.parametrize(
    ("limit", "count"), [("100", 100), ("101", 100), ("7", 7), ("0", 1), ("-5", 1), ("x", 1), ("-1", DELIVERIES + 3)]
)
async def test_a_limit_is_clamped(world: httpx.AsyncClient, limit: str, count: int) -> None:
    assert len(await ids(world, f"/v1/orders?limit={limit}")) == count


async def test_pages_follow_each_other_to_a_short_one(world: httpx.AsyncClient) -> None:
    everything = await ids(world, "/v1/orders?limit=-1")
    by_page = [await ids(world, f"/v1/orders?limit=50&page={page}") for page in (1, 2, 3)]
    assert [len(page) for page in by_page] == [50, 50, 23]
    assert [*by_page[0], *by_page[1], *by_page[2]] == everything
    assert await ids(world, "/v1/orders?limit=50&offset=50&page=3") == by_page[1]
    assert await ids(world, "/v1/orders?offset=1000") == []


@pytest.mark.parametrize("sort", ["-created_at", "created_at:desc", "latest"])
async def test_newest_first_on_request(world: httpx.AsyncClient, sort: str) -> None:
    times = [row["created_at"] for row in (await world.get(f"/v1/orders?limit=-1&sort={sort}")).json()]
    assert times == sorted(times, reverse=True)
    assert len(set(times)) > DELIVERIES // 2


async def test_oldest_first_and_second_keys(world: httpx.AsyncClient) -> None:
    rows = (await world.get("/v1/orders?limit=-1&sort=status,-internal_id")).json()
    assert [row["status"] for row in rows] == sorted(row["status"] for row in rows)
    done = [row["internal_id"] for row in rows if row["status"] == "completed"]
    assert done == sorted(done, reverse=True)


async def test_many_by_internal_id_in_one_call(world: httpx.AsyncClient) -> None:
    wanted = [each.id for each in WORLD.delivered[:100]]
    rows = (await world.get("/v1/orders", params={"internal_id_in": ",".join(reversed(wanted)), "limit": 100})).json()
    assert [row["internal_id"] for row in rows] == wanted, "in table order, whatever the order of asking"
    two = await world.get("/v1/orders", params={"internal_id_in": f"{NEWEST.id},nobody,{NEWEST.id}"})
    assert [row["internal_id"] for row in two.json()] == [NEWEST.id]


async def test_many_by_public_id_on_every_list(world: httpx.AsyncClient) -> None:
    for path in ("orders", "drivers", "vehicles", "fleets", "places", "contacts", "zones", "service-areas"):
        known = (await ids(world, f"/v1/{path}"))[:2]
        assert await ids(world, f"/v1/{path}?public_id_in={known[1]},nobody,{known[0]}") == known
    for path in ("tracking-numbers", "tracking-statuses"):
        known = (await ids(world, f"/v1/{path}"))[:2]
        assert await ids(world, f"/v1/{path}?public_id_in={known[1]},{known[0]}") == known


@pytest.mark.parametrize("query", ["public_id_in[]=order_demo000081", "internal_id_in[0]=x", "internal_id[]=x"])
async def test_an_array_where_a_column_wants_text_is_500(world: httpx.AsyncClient, query: str) -> None:
    answer = await world.get(f"/v1/orders?{query}")
    assert (answer.status_code, answer.json()) == (500, {"errors": ["Server Error"]})


@pytest.mark.parametrize("query", ["publc_id_in=order_demo000081", "meta_like=x", "internal_id_in=", "status=0"])
async def test_unknown_filters_and_empty_values_are_ignored(world: httpx.AsyncClient, query: str) -> None:
    assert len(await ids(world, f"/v1/orders?limit=-1&{query}")) == DELIVERIES + 3


async def test_in_filters_can_be_switched_off(seeded: Store) -> None:
    async with client_of(seeded, fleetbase.Options(ignore_in_filters=True)) as client:
        assert len(await ids(client, f"/v1/orders?internal_id_in={NEWEST.id}")) == 30


async def test_suffixes_change_the_operator(world: httpx.AsyncClient) -> None:
    rows = (await world.get("/v1/orders?limit=-1")).json()
    middle = sorted(row["distance"] for row in rows)[60]
    cases: dict[str, Any] = {
        f"distance={middle}": lambda row: row["distance"] == middle,
        f"distance_gt={middle}": lambda row: row["distance"] > middle,
        f"distance_gte={middle}": lambda row: row["distance"] >= middle,
        f"distance_lt={middle}": lambda row: row["distance"] < middle,
        f"distance_lte={middle}": lambda row: row["distance"] <= middle,
        "status_not=completed": lambda row: row["status"] != "completed",
        "status_notIn=completed,enroute": lambda row: row["status"] not in ("completed", "enroute"),
        "status_in=completed,canceled": lambda row: row["status"] in ("completed", "canceled"),
        "internal_id_like=order_": lambda row: row["internal_id"].startswith("order_"),
        "notes_isNull=1": lambda row: row["notes"] is None,
        "notes_isNotNull=1": lambda row: row["notes"] is not None,
        f"created_at_gte={rows[60]['created_at']}": lambda row: row["created_at"] >= rows[60]["created_at"],
        "adhoc=1": lambda row: row["adhoc"],
    }
    for query, test in cases.items():
        expected = [row["id"] for row in rows if test(row)]
        assert 0 < len(expected) < len(rows)
        assert await ids(world, f"/v1/orders?limit=-1&{query}") == expected, query


async def test_orders_have_filters_of_their_own(world: httpx.AsyncClient) -> None:
    rows = (await world.get("/v1/orders?limit=-1")).json()
    first = rows[0]
    driver, vehicle = first["driver_assigned"], first["vehicle_assigned"]
    day = NEWEST.created_at + timedelta(minutes=20)
    ended = ("completed", "canceled")
    pair = (rows[3]["created_at"], rows[9]["created_at"])
    cases: dict[str, Any] = {
        "status=created,canceled": lambda row: row["status"] in ("created", "canceled"),
        "status[]=created&status[]=canceled": lambda row: row["status"] in ("created", "canceled"),
        "status=active": lambda row: row["status"] not in ended,
        "active=1": lambda row: row["status"] not in ended,
        f"driver={driver['id']}": lambda row: (row["driver_assigned"] or {}).get("id") == driver["id"],
        f"driver_assigned={driver['internal_id']}": lambda row: row["driver_assigned"] == driver,
        f"vehicle={vehicle['id']}": lambda row: row["vehicle_assigned"] == vehicle,
        "unassigned=true": lambda row: row["driver_assigned"] is None,
        "without_driver=1": lambda row: row["driver_assigned"] is None,
        "dispatched=1": lambda row: row["dispatched"],
        f"payload={first['payload']['id']}": lambda row: row is first,
        f"entity={first['payload']['entities'][0]['id']}": lambda row: row is first,
        f"on={day:%Y-%m-%d}": lambda row: row["created_at"].startswith(f"{day:%Y-%m-%d}"),
        f"created_at={pair[0]},{pair[1]}": lambda row: pair[0] <= row["created_at"] <= pair[1],
        f"tracking={first['tracking_number']['tracking_number']}": lambda row: row is first,
        "query=between": lambda row: row["notes"] == "Between warehouses",
        f"exclude={first['id']},{rows[1]['id']}": lambda row: row not in rows[:2],
        f"only[]={rows[4]['id']}&only[]={rows[2]['id']}": lambda row: row in (rows[2], rows[4]),
        f"bulk_query={rows[4]['id']},{rows[2]['id']}": lambda row: row in (rows[2], rows[4]),
        f"bulk_query={rows[5]['tracking_number']['tracking_number']},{rows[6]['internal_id']}": (
            lambda row: row in (rows[5], rows[6])
        ),
    }
    for query, test in cases.items():
        expected = [row["id"] for row in rows if test(row)]
        assert 0 < len(expected) < len(rows), query
        assert await ids(world, f"/v1/orders?limit=-1&{query}") == expected, query


async def test_an_id_of_the_shop_looks_like_a_public_one_to_bulk_query(world: httpx.AsyncClient) -> None:
    assert await ids(world, f"/v1/orders?bulk_query={NEWEST.id}") == []


@pytest.mark.parametrize("query", ["customer=contact_demo000017", "facilitator=x", "driver=nobody", "tracking=ACM"])
async def test_broken_filters_and_unknown_references_match_nothing(world: httpx.AsyncClient, query: str) -> None:
    assert await ids(world, f"/v1/orders?{query}") == []


async def test_orders_near_a_place(world: httpx.AsyncClient) -> None:
    centre = await ids(world, "/v1/orders?limit=-1&nearby=41.3275,19.8187")
    assert len(centre) == DELIVERIES + 3
    assert await ids(world, "/v1/orders?nearby=42.0,19.8") == []
    assert await ids(world, "/v1/orders?limit=-1&nearby=driver_demo000001") == centre


async def test_what_a_list_cannot_add_is_501(world: httpx.AsyncClient) -> None:
    assert (await world.get("/v1/orders?with_tracker_data=1")).status_code == 501


def test_a_query_string_is_read_as_php_reads_it() -> None:
    query = Query("a=1&a=2&b[]=x&b[]=y,z&c[0]=q&d=&e=a%2Cb")
    assert (query.text("a"), query.values("b"), query.values("c"), query.text("d")) == ("2", ["x", "y,z"], ["q"], None)
    assert query.values("e") == ["a", "b"]
    assert query.names() == ["a", "b", "c", "e"]


# The demo world


async def test_every_order_with_a_delivery_has_one_with_driver_and_vehicle(world: httpx.AsyncClient) -> None:
    rows = (await world.get("/v1/orders?limit=-1")).json()
    joined = {row["internal_id"]: row for row in rows if row["internal_id"].startswith("order_")}
    assert list(joined) == [each.id for each in WORLD.delivered]
    assert len(rows) - len(joined) == 3
    for each in WORLD.delivered:
        row = joined[each.id]
        assert row["meta"] == {"commerce_order_id": each.id}
        assert row["driver_assigned"]["id"].startswith("driver_demo")
        assert row["vehicle_assigned"]["plate_number"]
        assert each.customer is not None
        assert row["customer"]["id"] == each.customer.contact_id
        assert row["payload"]["pickup"]["name"] == each.client.pickup.name
        assert row["payload"]["dropoff"]["street1"] == each.customer.address.street
        assert row["tracking_number"]["tracking_number"].startswith("ACM")
        assert row["tracking_number"]["tracking_number"].endswith("AL")
        assert len(row["tracking_number"]["tracking_number"]) == 15
        assert row["status"] != "canceled"
    assert joined[OLDEST.id]["status"] == "completed"
    assert joined[NEWEST.id]["status"] == "created"
    assert {row["status"] for row in joined.values()} == {"completed", "enroute", "dispatched", "created"}


async def test_a_history_tells_how_the_status_came_about(world: httpx.AsyncClient) -> None:
    rows = (await world.get("/v1/orders?limit=-1")).json()
    for row in rows:
        times = [status["created_at"] for status in row["tracking_statuses"]]
        assert times == sorted(times)
        assert row["tracking_number"]["status_code"] == codes(row)[-1] == row["status"].upper()
        assert all(status["tracking_number"] == row["tracking_number"] for status in row["tracking_statuses"])
        assert row["dispatched"] == ("DISPATCHED" in codes(row)) == (row["dispatched_at"] is not None)
        assert row["started"] == ("STARTED" in codes(row)) == (row["started_at"] is not None)


async def test_distances_and_times_fit_the_places(world: httpx.AsyncClient) -> None:
    row = await order(world, NEWEST.id)
    (west, south), (east, north) = (row["payload"][stop]["location"]["coordinates"] for stop in ("pickup", "dropoff"))
    flat = math.hypot((north - south) * 111_195, (east - west) * 111_195 * math.cos(math.radians(north)))
    assert row["distance"] == pytest.approx(flat, rel=0.005)
    assert row["time"] == round(row["distance"] / 8)


async def test_customers_are_contacts_known_by_their_id_in_the_shop(world: httpx.AsyncClient) -> None:
    person = WORLD.customers[-1]
    contact = (await world.get(f"/v1/contacts/{person.medusa_id}")).json()
    assert (contact["id"], contact["email"], contact["type"]) == (person.contact_id, person.email, "customer")
    assert contact["customer_id"] == person.contact_id.replace("contact_", "customer_")
    assert len(await ids(world, "/v1/contacts?limit=-1")) == len(WORLD.customers)


async def test_relations_come_when_asked_for(world: httpx.AsyncClient) -> None:
    bare = (await world.get("/v1/fleets")).json()[0]
    assert set(bare) == {"id", "name", "task", "status", "updated_at", "created_at"}
    full = (await world.get("/v1/fleets?with[]=drivers&with[]=vehicles")).json()
    assert sum(len(fleet["drivers"]) for fleet in full) == sum(len(fleet["vehicles"]) for fleet in full) == DRIVERS
    assert "vehicle" not in full[0]["drivers"][0]
    less = (await world.get("/v1/fleets?with=drivers,vehicles&without[]=drivers")).json()[0]
    assert ("drivers" in less, "vehicles" in less) == (False, True)
    driver = (await world.get("/v1/drivers/driver_demo000001?with[]=vehicle&with[]=currentJob&with[]=fleets")).json()
    assert driver["vehicle"]["id"] == "vehicle_demo000001"
    assert driver["current_job"]["status"] == "enroute"
    assert [fleet["id"] for fleet in driver["fleets"]] == ["fleet_demo000002"]
    vehicle = (await world.get("/v1/vehicles/VAN001?expand=driver")).json()
    assert vehicle["driver"]["id"] == "driver_demo000001"


async def test_zones_lie_in_their_service_area(world: httpx.AsyncClient) -> None:
    areas = (await world.get("/v1/service-areas?with[]=zones")).json()
    assert [len(area["zones"]) for area in areas] == [2, 2]
    assert "zones" not in (await world.get("/v1/service-areas")).json()[0]
    for area in areas:
        (outer,) = area["border"]["coordinates"][0]
        of_area = await ids(world, f"/v1/zones?service_area={area['id']}")
        assert of_area == [zone["id"] for zone in area["zones"]]
        for zone in area["zones"]:
            ring = zone["border"]["coordinates"][0]
            assert ring[0] == ring[-1]
            assert all(outer[0][0] <= x <= outer[2][0] and outer[0][1] <= y <= outer[2][1] for x, y in ring)


async def test_drivers_can_be_found_by_what_they_are(world: httpx.AsyncClient) -> None:
    assert await ids(world, "/v1/drivers?name=driver 3") == ["driver_demo000003"]
    assert await ids(world, "/v1/drivers?vehicle=unassigned") == []
    assert await ids(world, "/v1/vehicles?driver=unassigned") == []
    assert await ids(world, "/v1/vehicles?plate_number=AA 005 TR") == ["vehicle_demo000005"]
    first = WORLD.drivers[0]
    here = f"{first.latitude},{first.longitude}"
    assert await ids(world, f"/v1/drivers?nearby={here}&radius=1") == [first.id]
    assert len(await ids(world, f"/v1/drivers?nearby={here}&radius=20000")) == DRIVERS


async def test_the_history_of_one_order(world: httpx.AsyncClient) -> None:
    row = await order(world, OLDEST.id)
    expected = [status["id"] for status in row["tracking_statuses"]]
    for query in (
        f"order={row['id']}",
        f"tracking_number={row['tracking_number']['id']}",
        f"order={OLDEST.id}&sort=created_at",
    ):
        assert await ids(world, f"/v1/tracking-statuses?{query}") == expected
    single = (await world.get(f"/v1/tracking-statuses/{expected[0]}")).json()
    assert single == row["tracking_statuses"][0]
    by_text = await world.get(f"/v1/tracking-numbers/{row['tracking_number']['tracking_number']}")
    assert by_text.json() == row["tracking_number"]


async def test_the_organization_is_there(world: httpx.AsyncClient) -> None:
    assert (await world.get("/v1/organizations/current")).json()["id"].startswith("company_")


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("orders", "Order"),
        ("drivers", "Driver"),
        ("vehicles", "Vehicle"),
        ("fleets", "Fleet"),
        ("places", "Place"),
        ("contacts", "Contact"),
        ("zones", "Zone"),
        ("orders/nobody/tracker", ""),
    ],
)
async def test_an_unknown_id_is_404(world: httpx.AsyncClient, path: str, label: str) -> None:
    answer = await world.get(f"/v1/{path}/nobody" if label else f"/v1/{path}")
    assert (answer.status_code, answer.json()) == (404, {"error": f"{label or 'Order'} resource not found."})


# Creating


async def test_a_delivery_is_created_and_found_by_both_ids(api: httpx.AsyncClient) -> None:
    body = await created(api)
    assert (body["status"], body["dispatched"], body["purchase_rate"], body["type"]) == (
        "created",
        False,
        None,
        "transport",
    )
    assert (body["internal_id"], body["meta"], codes(body)) == ("order_01NEW", {"saga_id": "s1"}, ["CREATED"])
    assert body["driver_assigned"] is None
    assert body["distance"] == pytest.approx(3340, abs=10)
    assert body["payload"]["pickup"]["location"] == {"type": "Point", "coordinates": [19.80, 41.33]}
    assert body["tracking_number"]["subject"] == body["id"]
    assert await order(api, body["id"]) == await order(api, "order_01NEW") == body
    assert (await api.get("/v1/orders?internal_id_in=order_01NEW")).json() == [body]


async def test_two_deliveries_may_have_one_internal_id(api: httpx.AsyncClient) -> None:
    first, second = await created(api), await created(api)
    assert first["id"] != second["id"]
    assert first["tracking_number"]["tracking_number"] != second["tracking_number"]["tracking_number"]
    assert await ids(api, "/v1/orders?internal_id_in=order_01NEW") == [first["id"], second["id"]]
    assert (await order(api, "order_01NEW"))["id"] == first["id"]


async def test_without_an_internal_id_the_server_makes_one(api: httpx.AsyncClient) -> None:
    made = {(await created(api, internal_id=None))["internal_id"] for _ in range(2)}
    assert len(made) == 2
    assert all(len(each) == 8 and each[:2].isalpha() and each[2:].isdigit() for each in made)


async def test_places_may_be_ids_texts_or_coordinates(api: httpx.AsyncClient) -> None:
    known = (await ids(api, "/v1/places?limit=1"))[0]
    body = await created(api, pickup=known, dropoff="Rruga e Kavajës 7, Tirana")
    assert body["payload"]["pickup"]["id"] == known
    longitude, latitude = body["payload"]["dropoff"]["location"]["coordinates"]
    assert (latitude, longitude) == (pytest.approx(41.33, abs=0.03), pytest.approx(19.82, abs=0.03))
    again = await created(api, pickup=[41.33, 19.82], dropoff="Rruga e Kavajës 7, Tirana")
    assert again["payload"]["dropoff"]["location"]["coordinates"] == [longitude, latitude]
    assert again["payload"]["pickup"]["location"]["coordinates"] == [19.82, 41.33]
    bare = await created(api, dropoff={"name": "Ann", "street1": "Rruga 9", "city": "Tirana", "country": "al"})
    assert bare["payload"]["dropoff"]["country"] == "AL"
    assert bare["payload"]["dropoff"]["address"] == "Rruga 9, Tirana"


async def test_stops_may_stand_in_a_payload_or_be_waypoints(api: httpx.AsyncClient) -> None:
    nested = {"payload": {"pickup": DELIVERY["pickup"], "dropoff": DELIVERY["dropoff"], "entities": [{"name": "Box"}]}}
    first = (await api.post("/v1/orders", json=nested)).json()
    assert first["payload"]["entities"][0]["name"] == "Box"
    shared = (await api.post("/v1/orders", json={"payload": first["payload"]["id"]})).json()
    assert shared["payload"] == first["payload"]
    ways = (await api.post("/v1/orders", json={"waypoints": ["41.33,19.80", "41.33,19.82", "41.33,19.84"]})).json()
    assert [len(ways["payload"]["waypoints"]), ways["payload"]["pickup"]] == [3, None]
    assert ways["distance"] == pytest.approx(3340, abs=10)
    assert (await api.post(f"/v1/orders/{ways['id']}/complete")).json() == {
        "error": "Not all waypoints completed for order."
    }


async def test_money_keeps_only_its_digits(api: httpx.AsyncClient) -> None:
    goods = [{"name": "Desk", "price": "12.50", "declared_value": 54990, "currency": "EUR"}]
    (entity,) = (await created(api, entities=goods))["payload"]["entities"]
    assert (entity["price"], entity["declared_value"], entity["sale_price"]) == (1250, 54990, None)


async def test_a_customer_is_found_by_mail_or_made(api: httpx.AsyncClient) -> None:
    person = WORLD.customers[0]
    known = await created(api, customer={"name": "Whoever", "email": person.email.upper()})
    assert known["customer"]["id"] == person.contact_id
    new = await created(api, customer={"name": "Ann", "email": "ann@new.example", "internal_id": "cus_9"})
    assert (new["customer"]["internal_id"], new["customer"]["type"]) == ("cus_9", "customer")
    assert (await created(api, customer=new["customer"]["id"]))["customer"] == new["customer"]
    assert len(await ids(api, "/v1/contacts?limit=-1")) == len(WORLD.customers) + 1


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        ({"pickup": None}, ["The pickup field is required."]),
        ({"pickup": "", "dropoff": None}, ["The pickup field is required.", "The dropoff field is required."]),
        ({"pickup": None, "waypoints": ["41,19"]}, ["The waypoints field must have at least 2 items."]),
        ({"payload": {}}, ["The payload.pickup field is required.", "The payload.dropoff field is required."]),
        ({"payload": "payload_nobody"}, ["The selected payload is invalid."]),
        ({"pickup": "place_nobody"}, ["The selected pickup is invalid."]),
        ({"pickup": 5}, ["The selected pickup is invalid."]),
        ({"entities": "box"}, ["The entities field must be an array."]),
        ({"driver": "driver_nobody"}, ["The selected driver is invalid."]),
        ({"service_quote": "quote_nobody"}, ["The selected service quote is invalid."]),
        ({"purchase_rate": "rate_nobody"}, ["The selected purchase rate is invalid."]),
        ({"customer": "contact_nobody"}, ["The selected customer is invalid."]),
        ({"customer": {"name": "Ann"}}, ["The customer.email field is required."]),
        ({"dispatch": "maybe"}, ["The dispatch field must be true or false."]),
        ({"pod_required": True}, ["The proof of delivery method field is required."]),
        ({"pod_method": "oath"}, ["The selected proof of delivery method is invalid."]),
        ({"scheduled_at": "soon"}, ["The scheduled at field must be a valid date."]),
        ({"internal_id": 5}, ["The internal id field must be a string."]),
    ],
)
async def test_a_create_that_breaks_rules_is_422_and_writes_nothing(
    api: httpx.AsyncClient, store: Store, changes: dict[str, Any], messages: list[str]
) -> None:
    before = {kind: len(store.rows(kind)) for kind in ("order", "place", "contact")}
    answer = await api.post("/v1/orders", json=DELIVERY | changes)
    expected: dict[str, Any] = {"error": messages[0]} | ({"errors": messages} if len(messages) > 1 else {})
    assert (answer.status_code, answer.json()) == (422, expected)
    assert {kind: len(store.rows(kind)) for kind in before} == before


async def test_a_body_that_is_no_json_object_misses_everything(api: httpx.AsyncClient) -> None:
    for content in (b"", b"{", b"[1]"):
        answer = await api.post("/v1/orders", content=content)
        assert answer.status_code == 422
        assert answer.json()["errors"] == ["The pickup field is required.", "The dropoff field is required."]


async def test_an_unknown_type_is_400(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/orders", json=DELIVERY | {"type": "teleport"})
    assert (answer.status_code, answer.json()) == (
        400,
        {"error": "Invalid order `type` or `order_config` provided."},
    )


async def test_a_dispatch_asked_for_at_creation_comes_after_the_answer(api: httpx.AsyncClient) -> None:
    body = await created(api, driver="driver_demo000002", dispatch=True)
    assert (body["dispatched"], body["driver_assigned"]["id"]) == (False, "driver_demo000002")
    assert body["vehicle_assigned"]["id"] == "vehicle_demo000002"
    later = await order(api, body["id"])
    assert (later["status"], later["dispatched"], codes(later)) == ("dispatched", True, ["CREATED", "DISPATCHED"])
    alone = await created(api, dispatch=True)
    assert (await order(api, alone["id"]))["status"] == "created", "nobody to dispatch it to"
    adhoc = await created(api, dispatch=True, adhoc=True)
    assert (await order(api, adhoc["id"]))["status"] == "dispatched"


async def test_what_the_background_left_undone_is_done_at_the_next_start(store: Store) -> None:
    from sandbox.fleetbase import orders
    from sandbox.fleetbase.database import Database

    row = orders.create(Database(store), DELIVERY | {"driver": "driver_demo000001", "dispatch": True})
    for _ in range(2):
        async with client_of(store) as client:
            later = await order(client, row["id"])
        assert codes(later) == ["CREATED", "DISPATCHED"]


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path / "fleetbase.db")
    store.seed(fleetbase.seed)
    async with client_of(store) as client:
        first = await created(client)
        everything = (await client.get("/v1/orders?limit=-1")).json()
    store.close()
    again = Store(tmp_path / "fleetbase.db")
    again.seed(fleetbase.seed)
    async with client_of(again) as client:
        assert (await client.get("/v1/orders?limit=-1")).json() == everything
        second = await created(client)
        assert await ids(client, "/v1/orders?internal_id_in=order_01NEW") == [first["id"], second["id"]]
    again.close()


# Changing


async def test_a_driver_is_assigned_with_their_vehicle_and_again(api: httpx.AsyncClient) -> None:
    body = await created(api)
    for driver in ("000003", "000004", "000004"):
        answer = await api.put(f"/v1/orders/{body['id']}", json={"driver": f"driver_demo{driver}"})
        assert answer.status_code == 200
        assert answer.json()["driver_assigned"]["id"] == f"driver_demo{driver}"
        assert answer.json()["vehicle_assigned"]["id"] == f"vehicle_demo{driver}"
    own = await api.put(f"/v1/orders/{body['id']}", json={"vehicle": "vehicle_demo000009", "notes": "Ring twice"})
    assert (own.json()["vehicle_assigned"]["id"], own.json()["notes"]) == ("vehicle_demo000009", "Ring twice")
    unknown = await api.put(f"/v1/orders/{body['id']}", json={"driver": "driver_nobody"})
    assert (unknown.status_code, unknown.json()) == (422, {"error": "The selected driver is invalid."})
    assert await order(api, body["id"]) == own.json()


async def test_an_update_can_dispatch(api: httpx.AsyncClient) -> None:
    body = await created(api)
    refused = await api.put(f"/v1/orders/{body['id']}", json={"dispatch": True})
    assert (refused.status_code, refused.json()) == (400, {"error": "No driver assigned to dispatch!"})
    done = await api.put(f"/v1/orders/{body['id']}", json={"driver": "driver_demo000003", "dispatch": True})
    assert (done.json()["status"], codes(done.json())) == ("dispatched", ["CREATED", "DISPATCHED"])


@pytest.mark.parametrize("change", [{"payload": {}}, {"driver": None}])
async def test_defective_or_unverified_updates_are_501(api: httpx.AsyncClient, change: dict[str, Any]) -> None:
    body = await created(api)
    assert (await api.put(f"/v1/orders/{body['id']}", json=change)).status_code == 501
    assert await order(api, body["id"]) == body


async def test_dispatch_wants_a_driver_and_happens_once(api: httpx.AsyncClient) -> None:
    body = await created(api)
    path = f"/v1/orders/{body['id']}/dispatch"
    alone = await api.post(path)
    assert (alone.status_code, alone.json()) == (400, {"error": "No driver assigned to dispatch!"})
    await api.put(f"/v1/orders/{body['id']}", json={"driver": "driver_demo000003"})
    done = await api.post(path)
    assert (done.status_code, done.json()["status"], done.json()["dispatched"]) == (200, "dispatched", True)
    again = await api.patch(path)
    assert (again.status_code, again.json()) == (400, {"error": "Order has already been dispatched!"})
    assert await order(api, body["id"]) == done.json()


async def test_a_delivery_is_started_carried_and_completed(api: httpx.AsyncClient) -> None:
    body = await created(api)
    path = f"/v1/orders/{body['id']}"
    assert (await api.post(f"{path}/start")).json() == {"error": "No driver assigned to order."}
    await api.put(path, json={"driver": "driver_demo000003"})
    early = await api.post(f"{path}/start")
    assert early.json() == {"error": "Order has not been dispatched yet and cannot be started."}
    await api.post(f"{path}/dispatch")
    started = (await api.post(f"{path}/start")).json()
    assert (started["status"], started["started"], "tracking_statuses" in started) == ("started", True, False)
    assert (await api.post(f"{path}/start")).json() == {"error": "Order has already started."}
    driver = (await api.get("/v1/drivers/driver_demo000003?with[]=currentJob")).json()
    assert driver["current_job"]["id"] == body["id"]
    await api.post(f"{path}/update-activity", json={"activity": {"code": "enroute", "status": "On the road"}})
    assert (await order(api, body["id"]))["tracking_statuses"][-1]["status"] == "On the road"
    ended = await api.post(f"{path}/complete")
    assert (ended.status_code, ended.json()["status"]) == (200, "completed")
    assert codes(await order(api, body["id"])) == ["CREATED", "DISPATCHED", "STARTED", "ENROUTE", "COMPLETED"]
    late = await api.post(f"{path}/update-activity", json={"activity": {"code": "enroute"}})
    assert (late.status_code, late.json()) == (400, {"error": "Order is already completed."})
    driver = (await api.get("/v1/drivers/driver_demo000003?with[]=currentJob")).json()
    assert driver["current_job"] is None


async def test_an_activity_can_dispatch_and_complete(api: httpx.AsyncClient) -> None:
    body = await created(api)
    path = f"/v1/orders/{body['id']}/update-activity"
    alone = await api.post(path, json={"activity": {"code": "dispatched"}})
    assert alone.json() == {"error": "No driver assigned for order to dispatch to."}
    await api.put(f"/v1/orders/{body['id']}", json={"driver": "driver_demo000003"})
    assert (await api.post(path, json={"activity": {"code": "dispatched"}})).json()["dispatched"] is True
    ended = await api.patch(path, json={"activity": {"code": "handed_over", "status": "Given", "complete": True}})
    assert ended.json()["status"] == "completed"
    assert (await api.post(path, json={})).status_code == 400


async def test_a_cancel_has_no_state_check_and_answers_less(api: httpx.AsyncClient) -> None:
    row = await order(api, OLDEST.id)
    for count in (1, 2):
        answer = await api.delete(f"/v1/orders/{OLDEST.id}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
        assert not {"customer", "driver_assigned", "tracking_statuses"} & answer.json().keys()
        assert codes(await order(api, OLDEST.id)) == [*codes(row), *["CANCELED"] * count]
    assert (await order(api, OLDEST.id))["driver_assigned"] == row["driver_assigned"]


async def test_a_deleted_order_is_gone(api: httpx.AsyncClient) -> None:
    body = await created(api)
    answer = await api.delete(f"/v1/orders/{body['id']}")
    assert answer.json() | {"id": body["id"], "object": "order", "deleted": True} == answer.json()
    assert (await api.get(f"/v1/orders/{body['id']}")).status_code == 404
    assert (await api.get("/v1/orders/order_01NEW")).status_code == 404
    assert await ids(api, "/v1/orders?internal_id_in=order_01NEW") == []
    tracking = body["tracking_number"]["tracking_number"]
    assert await ids(api, f"/v1/orders?tracking={tracking}") == []


async def test_an_order_found_by_an_old_internal_id_is_not_found_any_more(api: httpx.AsyncClient) -> None:
    body = await created(api)
    await api.put(f"/v1/orders/{body['id']}", json={"internal_id": "order_01OTHER"})
    assert (await api.get("/v1/orders/order_01NEW")).status_code == 404
    assert (await order(api, "order_01OTHER"))["id"] == body["id"]


# Drivers on the move, tracking, quotes


async def test_a_moved_driver_is_seen_everywhere(api: httpx.AsyncClient) -> None:
    before = await order(api, NEWEST.id)
    driver = before["driver_assigned"]["id"]
    place = {"latitude": 41.3, "longitude": 19.9, "speed": 12, "heading": 90}
    moved = await api.post(f"/v1/drivers/{driver}/track", json=place)
    assert moved.json()["location"]["coordinates"] == [19.9, 41.3]
    seen = (await order(api, NEWEST.id))["driver_assigned"]
    assert (seen["location"]["coordinates"], seen["speed"]) == ([19.9, 41.3], 12)
    offline = await api.post(f"/v1/drivers/{driver}/toggle-online")
    assert offline.json()["online"] is False
    assert (await order(api, NEWEST.id))["driver_assigned"]["online"] is False
    nowhere = await api.post(f"/v1/drivers/{driver}/track", json={"latitude": "north"})
    assert nowhere.status_code == 422


async def test_a_tracker_follows_the_delivery(api: httpx.AsyncClient) -> None:
    body = await created(api)
    path = f"/v1/orders/{body['id']}"
    alone = (await api.get(f"{path}/tracker")).json()
    assert (alone["lifecycle"]["mode"], alone["driver"], alone["progress"]["percentage"]) == ("unassigned", None, 0)
    assert alone["eta"]["completion_seconds"] is None
    await api.put(path, json={"driver": "driver_demo000003"})
    assert (await api.get(f"{path}/tracker")).json()["lifecycle"]["mode"] == "pre_start"
    await api.post(f"{path}/dispatch")
    dispatched = (await api.get(f"{path}/tracker")).json()
    assert dispatched["lifecycle"]["mode"] == "dispatched"
    assert dispatched["active_stop"]["public_id"] == body["payload"]["pickup"]["id"]
    assert dispatched["next_stop"]["public_id"] == body["payload"]["dropoff"]["id"]
    await api.post(f"{path}/start")
    await api.post("/v1/drivers/driver_demo000003/track", json={"latitude": 41.33, "longitude": 19.83})
    active = (await api.get(f"{path}/tracker")).json()
    assert (active["lifecycle"]["mode"], active["lifecycle"]["has_started"]) == ("active", True)
    assert active["progress"] == {
        "percentage": 75,
        "completed_stops": 1,
        "remaining_stops": 1,
        "total_stops": 2,
        "completed_distance_m": body["distance"] - active["progress"]["remaining_distance_m"],
        "remaining_distance_m": pytest.approx(835, abs=3),
    }
    assert active["eta"]["completion_seconds"] == round(active["route"]["distance_m"] / 8)
    assert datetime.fromisoformat(active["eta"]["completion_at"]) > datetime.now(UTC)
    eta = (await api.get(f"{path}/eta")).json()
    assert eta["completion_seconds"] == active["eta"]["completion_seconds"]
    assert (eta["provider"], eta["lifecycle"]) == (active["provider"], active["lifecycle"])
    await api.post(f"{path}/complete")
    done = (await api.get(f"{path}/tracker")).json()
    assert (done["progress"]["percentage"], done["lifecycle"]["is_terminal"], done["active_stop"]) == (100, True, None)


async def test_an_older_server_answers_a_flat_tracker(seeded: Store) -> None:
    async with client_of(seeded, fleetbase.Options(legacy_tracker=True)) as client:
        flat = (await client.get(f"/v1/orders/{OLDEST.id}/tracker")).json()
    assert (flat["progress_percentage"], flat["current_destination"]) == (100, None)
    assert flat["completed_distance"] == flat["total_distance"]


async def test_distance_and_time_are_those_of_the_order(world: httpx.AsyncClient) -> None:
    row = await order(world, NEWEST.id)
    answer = await world.get(f"/v1/orders/{NEWEST.id}/distance-and-time")
    assert answer.json() == {"distance": row["distance"], "time": row["time"]}


QUOTE = "/v1/service-quotes?pickup=41.33,19.80&dropoff=41.33,19.84"


async def test_asking_for_quotes_writes_them(api: httpx.AsyncClient, store: Store) -> None:
    first, second = (await api.get(QUOTE)).json(), (await api.get(QUOTE)).json()
    assert [quote["service_name"] for quote in first] == ["City standard", "City express"]
    assert first[0]["amount"] == sum(item["amount"] for item in first[0]["items"]) == 150 + round(3340 * 0.04)
    assert first[0]["request_id"] == first[1]["request_id"] != second[0]["request_id"]
    assert len({quote["id"] for quote in [*first, *second]}) == len(store.rows("service_quote")) == 4
    assert (await api.get(f"/v1/service-quotes/{first[0]['id']}")).json() == first[0]
    single = (await api.get(f"{QUOTE}&single=1")).json()
    assert (single["service_name"], single["amount"]) == ("City standard", first[0]["amount"])


async def test_quotes_know_payloads_places_and_services(api: httpx.AsyncClient) -> None:
    row = await order(api, NEWEST.id)
    by_payload = (await api.get(f"/v1/service-quotes?payload={row['payload']['id']}&currency=EUR")).json()
    places = [row["payload"][stop]["id"] for stop in ("pickup", "dropoff")]
    by_places = (await api.get(f"/v1/service-quotes?pickup={places[0]}&dropoff={places[1]}")).json()
    by_waypoints = (await api.get(f"/v1/service-quotes?waypoints[]={places[0]}&waypoints[]={places[1]}")).json()
    assert len({quotes[0]["amount"] for quotes in (by_payload, by_places, by_waypoints)}) == 1
    assert [quote["service_name"] for quote in (await api.get(f"{QUOTE}&service_type=express")).json()] == [
        "City express"
    ]
    for never in ("currency=EUR", "service=service_demo000001", "service_type=rocket"):
        assert (await api.get(f"{QUOTE}&{never}")).json() == []


@pytest.mark.parametrize(
    "query",
    ["", "pickup=41.33,19.80", "payload=payload_nobody", "pickup=place_nobody&dropoff=41,19", "waypoints[]=41,19"],
)
async def test_quotes_without_clear_stops_are_422(api: httpx.AsyncClient, store: Store, query: str) -> None:
    assert (await api.get(f"/v1/service-quotes?{query}")).status_code == 422
    assert store.rows("service_quote") == []


async def test_a_quote_is_bought_after_the_answer(api: httpx.AsyncClient) -> None:
    quote = (await api.get(f"{QUOTE}&single=1")).json()
    body = await created(api, service_quote=quote["id"])
    assert body["purchase_rate"] is None
    later = await order(api, body["id"])
    assert later["purchase_rate"]["service_quote"] == quote["id"]
    assert (later["transaction_amount"], later["currency"]) == (quote["amount"], "EUR")


async def test_a_contact_is_made_once_per_name_and_address(api: httpx.AsyncClient) -> None:
    ann = {"name": "Ann", "type": "customer", "email": "ann@new.example", "phone": None, "internal_id": "cus_9"}
    made = await api.post("/v1/contacts", json=ann)
    assert made.status_code == 201
    assert made.json()["internal_id"] != "cus_9"
    again = await api.post("/v1/contacts", json={**ann, "email": "Ann@New.Example", "meta": {"n": 1}})
    assert (again.status_code, again.json()["id"], again.json()["meta"]) == (200, made.json()["id"], {"n": 1})
    other = await api.post("/v1/contacts", json={**ann, "name": "Bea"})
    listed = (await api.get("/v1/contacts?email=ANN@new.example")).json()
    assert [row["id"] for row in listed] == [made.json()["id"], other.json()["id"]]
    nobody = await api.post("/v1/contacts", json={"email": "not one"})
    assert (nobody.status_code, len(nobody.json()["errors"])) == (422, 3)


@pytest.mark.parametrize(("left_out", "status"), [("phone", 500), ("email", 400)])
async def test_a_contact_without_phone_or_address_says_so(api: httpx.AsyncClient, left_out: str, status: int) -> None:
    ann = {"name": "Ann", "type": "customer", "email": None, "phone": None}
    ann.pop(left_out)
    assert (await api.post("/v1/contacts", json=ann)).status_code == status


async def test_places_can_be_made(api: httpx.AsyncClient) -> None:
    place = await api.post("/v1/places", json={"street1": "Rruga 5", "city": "Tirana"})
    assert place.status_code == 201
    assert (await api.get(f"/v1/places/{place.json()['id']}")).json() == place.json()
    assert (await api.post("/v1/places", json={})).status_code == 422


async def test_a_place_of_one_name_and_street_is_written_over(api: httpx.AsyncClient) -> None:
    """Whichever town it is in."""
    made = await api.post("/v1/places", json={"name": "Depot", "street1": "Rruga 1", "city": "Tirana"})
    again = await api.post("/v1/places", json={"name": "DEPOT", "street1": "rruga 1", "city": "Durres"})
    other = await api.post("/v1/places", json={"name": "Shop", "street1": "Rruga 1", "city": "Tirana"})
    assert [each.status_code for each in (made, again, other)] == [201, 200, 201]
    assert (again.json()["id"], again.json()["created_at"]) == (made.json()["id"], made.json()["created_at"])
    assert other.json()["id"] != made.json()["id"]
    assert (await api.get(f"/v1/places/{made.json()['id']}")).json()["city"] == "Durres"
