"""Payload's wire: how it is asked, what its answers mean, and the ways in which it misleads."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from pydantic import HttpUrl, SecretStr

from core import operation
from core.errors import (
    BackendBadResponse,
    BackendRejected,
    BackendTimeout,
    BackendUnavailable,
    BadUserInput,
    GatewayError,
)
from core.operation import Operation
from core.settings import PayloadSettings
from datasources.payload import Mirror, Payload, covering
from sandbox import keys, payload
from sandbox.faults import FaultLine
from sandbox.payload.config import DEMO, SLUG, TITLE, USERS, Collection, Field
from sandbox.store import Store

KEY = SecretStr(keys.PAYLOAD_API_KEY)
SETTINGS = PayloadSettings(outbound_api_key=KEY, timeout_s=0.4)
HERE, THERE = "DKTR01", "DKDR01"


class Cms:
    """The simulator, what it is asked, and the real datasource before it."""

    def __init__(self, settings: PayloadSettings = SETTINGS, collections: Sequence[Collection] = DEMO) -> None:
        self.store = Store(None)
        self.store.seed(payload.seed)
        self.line = FaultLine(payload.create_app(self.store, collections))
        self.now = 1000.0
        http = httpx.AsyncClient(transport=httpx.ASGITransport(self.line), base_url="http://cms")
        self.payload = Payload(http, settings, clock=lambda: self.now)
        operation.enter(Operation())

    @property
    def asked(self) -> list[str]:
        """Besides who we are."""
        return [f"{call.method} {call.path}" for call in self.line.calls if not call.path.endswith("/me")]

    @property
    def checks(self) -> int:
        return sum(call.path.endswith("/me") for call in self.line.calls)

    def query(self, n: int = -1) -> dict[str, str]:
        return dict(parse_qsl(self.line.calls[n].query))

    def change(self, collection: str, named: str, /, **changes: Any) -> None:
        row = next(row for row in self.store.rows(collection) if row["slug"] == named)
        self.store.put(collection, str(row["id"]), {**row, **changes})


@pytest.fixture
async def cms() -> AsyncIterator[Cms]:
    made = Cms()
    yield made
    await made.payload.aclose()
    made.store.close()


def answering(answer: Callable[[httpx.Request], httpx.Response], *, user_id: int | str = 1) -> Payload:
    """Before a server that recognises the key and otherwise answers so."""

    def respond(request: httpx.Request) -> httpx.Response:
        return (
            httpx.Response(200, json={"user": {"id": user_id}}) if request.url.path.endswith("/me") else answer(request)
        )

    operation.enter(Operation())
    http = httpx.AsyncClient(transport=httpx.MockTransport(respond), base_url="http://cms")
    return Payload(http, SETTINGS)


def listing(*docs: dict[str, Any], total: int | None = None) -> httpx.Response:
    return httpx.Response(200, json={"docs": docs, "totalDocs": len(docs) if total is None else total})


# -- who we are --------------------------------------------------------------------------------------------------------


async def test_the_key_is_shown_as_payload_reads_it() -> None:
    opened = Payload.open(SETTINGS.model_copy(update={"url": HttpUrl("http://cms.example/")}))
    assert opened._client.headers["authorization"] == f"users API-Key {keys.PAYLOAD_API_KEY}"
    assert opened._client.headers["accept-language"] == "en"
    await opened.aclose()


@pytest.mark.parametrize("settings", [SETTINGS, PayloadSettings(url=HttpUrl("http://cms.example"))])
def test_address_and_key_are_needed(settings: PayloadSettings) -> None:
    with pytest.raises(ValueError, match="PAYLOAD_OUTBOUND_API_KEY"):
        Payload.open(settings)


@pytest.mark.parametrize(
    "changes", [{"outbound_api_key": SecretStr("wrong")}, {"auth_collection": "editors"}, {"outbound_api_key": None}]
)
async def test_a_wrong_key_is_an_error_though_payload_answers_200(changes: dict[str, Any]) -> None:
    collections = (*DEMO, Collection("editors", "Editor", {}, auth=True))
    cms = Cms(SETTINGS.model_copy(update=changes), collections)
    ways: list[Callable[[], Any]] = [
        cms.payload.ping,
        lambda: cms.payload.pages(limit=5),
        lambda: cms.payload.mirror(Mirror.ORDERS, "order_1", {"status": "pending"}),
    ]
    for ask in ways:
        with pytest.raises(BackendRejected, match="does not accept the gateway's credentials") as caught:
            await ask()
        assert (caught.value.reason, "wrong" in str(caught.value.args[0].lower())) == ("anonymous", True)
    assert cms.asked == []
    await cms.payload.aclose()


async def test_a_key_is_relied_on_for_a_minute_and_then_checked_again(cms: Cms) -> None:
    for _ in range(3):
        await cms.payload.pages(limit=1)
    assert cms.checks == 1
    cms.now += 59
    await cms.payload.pages(limit=1)
    assert cms.checks == 1
    cms.now += 2
    await cms.payload.pages(limit=1)
    assert cms.checks == 2


async def test_a_key_that_is_withdrawn_is_noticed(cms: Cms) -> None:
    await cms.payload.pages(limit=1)
    user = cms.store.rows("users")[0]
    cms.store.put("users", "1", {**user, "enableAPIKey": False})
    with pytest.raises(BackendRejected) as caught:
        await cms.payload.mirror(Mirror.ORDERS, "order_1", {})
    assert caught.value.reason == "forbidden"
    with pytest.raises(BackendRejected) as caught:
        await cms.payload.pages(limit=1)
    assert caught.value.reason == "anonymous"


async def test_a_check_that_fails_is_made_again(cms: Cms) -> None:
    await cms.payload.ping()
    cms.now += 61
    cms.line.replace([{"kind": "status", "status": 500, "path": "/api/users/me", "count": 1}])
    with pytest.raises(BackendUnavailable):
        await cms.payload.pages(limit=1)
    await cms.payload.pages(limit=1)
    assert cms.checks == 3


# -- lists -------------------------------------------------------------------------------------------------------------


async def test_a_list_says_everything_that_payload_would_guess(cms: Cms) -> None:
    found = await cms.payload.documents("posts", limit=50, tenants=[HERE, THERE])
    assert (len(found.rows), found.count) == (28, 28)
    assert cms.asked == ["GET /api/posts"]
    assert cms.query() == {
        "depth": "0",
        "limit": "50",
        "page": "1",
        "sort": "-createdAt,-id",
        "where[and][0][_status][equals]": "published",
        "where[and][1][tenant][in][0]": HERE,
        "where[and][1][tenant][in][1]": THERE,
    }


async def test_a_document_is_told_whole_and_its_relations_by_their_ids(cms: Cms) -> None:
    row = (await cms.payload.documents("posts", limit=1, tenants=[HERE])).rows[0]
    assert (row.collection, row.slug, row.title, row.status) == ("posts", "post-14", "News 14", "published")
    assert row.id == str(row.data["id"])
    assert row.data["author"] == 1
    assert row.data["body"]["root"]["children"]
    assert row.updated_at is not None
    assert row.updated_at.tzinfo is not None


async def test_a_page_is_told_with_its_blocks(cms: Cms) -> None:
    found = await cms.payload.pages(limit=10, tenants=[HERE])
    assert [page.slug for page in found.rows] == ["terms", "delivery", "about", "home"]
    assert [block["blockType"] for block in found.rows[0].blocks] == ["hero", "productGrid"]


@pytest.mark.parametrize("offset", [0, 1, 3, 7, 10, 23, 50, 54, 56, 80])
@pytest.mark.parametrize("limit", [1, 3, 10, 25])
async def test_any_offset_is_cut_from_the_pages_that_cover_it(cms: Cms, offset: int, limit: int) -> None:
    everything = [row.id for row in (await cms.payload.documents("posts", limit=100)).rows]
    cms.line.calls.clear()
    found = await cms.payload.documents("posts", limit=limit, offset=offset)
    assert [row.id for row in found.rows] == everything[offset : offset + limit]
    assert found.count == len(everything) == 56
    assert len(cms.asked) <= 2


@pytest.mark.parametrize("limit", range(1, 12))
def test_pages_cover_their_rows_and_few_others(limit: int) -> None:
    for offset in range(120):
        size, pages = covering(offset, limit)
        first, last = (pages[0] - 1) * size, pages[-1] * size
        assert first <= offset
        assert offset + limit <= last
        assert last - first <= 2 * limit
        assert pages == list(range(pages[0], pages[-1] + 1))
        if offset % limit == 0:
            assert (size, len(pages)) == (limit, 1)


async def test_no_tenant_is_nothing_and_asks_nobody(cms: Cms) -> None:
    assert (await cms.payload.documents("posts", limit=5, tenants=[])).rows == []
    assert await cms.payload.pages_by_slugs(["home"], tenants=()) == []
    assert cms.line.calls == []


# -- published or not --------------------------------------------------------------------------------------------------


async def test_drafts_are_not_shown(cms: Cms) -> None:
    cms.change("pages", "about", _status="draft")
    assert [page.slug for page in (await cms.payload.pages(limit=10, tenants=[HERE])).rows] == [
        "terms",
        "delivery",
        "home",
    ]
    assert await cms.payload.pages_by_slugs(["about", "spring-campaign"]) == []
    assert await cms.payload.event_by_slug("members-evening") is None


async def test_a_collection_without_drafts_is_read_by_its_editors_status() -> None:
    fields = {"title": TITLE, "slug": SLUG, "status": Field("select", options=("draft", "published"))}
    cms = Cms(collections=(USERS, Collection("news", "News", fields)))
    for n, status in enumerate(("published", "draft", "published"), 1):
        row = {"id": n, "title": f"N{n}", "slug": f"n{n}", "status": status, "createdAt": f"2026-01-0{n}T00:00:00.000Z"}
        cms.store.put("news", str(n), row)
    for _ in range(2):
        assert [row.slug for row in (await cms.payload.documents("news", limit=5)).rows] == ["n3", "n1"]
    # What was learned is remembered.
    assert [call.status for call in cms.line.calls] == [200, 400, 200, 200]


async def test_a_collection_that_tells_no_drafts_shows_nothing() -> None:
    cms = Cms(collections=(USERS, Collection("news", "News", {"title": TITLE})))
    with pytest.raises(BackendRejected, match="does not tell drafts") as caught:
        await cms.payload.documents("news", limit=5)
    assert caught.value.reason == "no_drafts"


@pytest.mark.parametrize(
    "doc",
    [
        {"id": 1, "_status": "draft", "tenant": HERE, "slug": "a"},
        {"id": 1, "tenant": HERE, "slug": "a"},
        {"id": 1, "_status": "published", "tenant": THERE, "slug": "a"},
        {"id": 1, "_status": "published", "slug": "a"},
    ],
)
async def test_what_was_not_asked_for_is_not_believed(doc: dict[str, Any]) -> None:
    with pytest.raises(BackendBadResponse, match="not asked for"):
        await answering(lambda request: listing(doc)).documents("pages", limit=5, tenants=[HERE])


async def test_a_filter_that_was_dropped_is_noticed() -> None:
    doc = {"id": 7, "_status": "published", "slug": "other"}
    with pytest.raises(BackendBadResponse, match="not asked for"):
        await answering(lambda request: listing(doc)).documents_by_ids("pages", ["1", "2"])
    with pytest.raises(BackendBadResponse, match="not asked for"):
        await answering(lambda request: listing(doc)).pages_by_slugs(["home"])


# -- batches and filters -----------------------------------------------------------------------------------------------


async def test_many_ids_are_all_answered_in_calls_of_a_hundred(cms: Cms) -> None:
    ids = [str(n) for n in range(1, 251)]
    found = await cms.payload.documents_by_ids("posts", [*ids, "1"])
    published = [str(row["id"]) for row in cms.store.rows("posts") if row["_status"] == "published"]
    assert sorted(row.id for row in found) == sorted(published)
    # A hundred are too long for an address.
    assert sorted(cms.asked) == ["GET /api/posts", "POST /api/posts", "POST /api/posts"]
    assert len(await cms.payload.documents_by_ids("posts", ids[:25])) > 10
    assert cms.asked[3:] == ["GET /api/posts"]
    assert cms.query()["limit"] == "0"


@pytest.mark.parametrize("ids", [["abc"], ["2147483648"], ["-1"], ["1.5"], ["٣"], [""]])
async def test_an_id_that_is_no_number_is_not_there_and_not_asked_for(cms: Cms, ids: list[str]) -> None:
    assert await cms.payload.documents_by_ids("posts", ids) == []
    assert cms.asked == []
    [row] = await cms.payload.documents_by_ids("posts", [*ids, "1"])
    assert row.id == "1"
    only = {"id": {"equals": ids[0]}}
    assert (await cms.payload.documents("posts", limit=5, where=only)).rows == []
    either = {"or": [only, {"slug": {"equals": "post-1"}}]}
    assert [row.slug for row in (await cms.payload.documents("posts", limit=5, where=either)).rows] == ["post-1"]
    both = {"and": [only, {"slug": {"equals": "post-1"}}]}
    assert (await cms.payload.documents("posts", limit=5, where=both)).rows == []


async def test_where_ids_are_texts_texts_are_asked_for() -> None:
    doc = {"id": "65f0c0ffee0c0ffee0c0ffee", "_status": "published", "slug": "a"}
    source = answering(lambda request: listing(doc), user_id="65f0c0ffee0c0ffee0c0ffef")
    [row] = await source.documents_by_ids("posts", [doc["id"], "a b", "x[]"])
    assert row.id == doc["id"]


async def test_values_with_commas_stay_whole(cms: Cms) -> None:
    cms.change("pages", "about", slug="a,b")
    assert [page.slug for page in await cms.payload.pages_by_slugs(["a,b"])] == ["a,b"]
    assert await cms.payload.pages_by_slugs(["home,terms"]) == []


async def test_a_filter_means_what_it_says(cms: Cms) -> None:
    where = {
        "and": [
            {"price": {"less_than": 40}},
            {
                "or": [
                    {"title": {"like": "TOUR city"}},
                    {"and": [{"seats": {"equals": 4}}, {"slug": {"contains": "port"}}]},
                ]
            },
        ]
    }
    found = await cms.payload.documents("services", limit=10, where=where, tenants=[HERE])
    assert [row.slug for row in found.rows] == ["airport-transfer", "city-tour"]


@pytest.mark.parametrize(
    "where",
    [
        {"slug": {"in": [f"s{n}" for n in range(1000)]}},
        {"or": [{"and": [{"or": [{"and": [{"or": [{"slug": {"equals": "a"}}]}]}]}]}]},
    ],
)
async def test_a_filter_that_payloads_parser_would_cut_is_refused(cms: Cms, where: dict[str, Any]) -> None:
    with pytest.raises(BadUserInput):
        await cms.payload.documents("pages", limit=5, where=where)
    assert cms.asked == []


async def test_an_unknown_path_is_a_refusal_that_names_it(cms: Cms) -> None:
    with pytest.raises(BackendRejected, match="cannot be queried: nope") as caught:
        await cms.payload.documents("pages", limit=5, where={"nope": {"equals": "x"}})
    assert (caught.value.status, caught.value.reason) == (400, "unknown nope")


async def test_a_collection_that_is_not_there_is_a_refusal(cms: Cms) -> None:
    with pytest.raises(BackendRejected, match="no such collection") as caught:
        await cms.payload.documents("nope", limit=5)
    assert caught.value.reason == "no_route"


# -- accounts ----------------------------------------------------------------------------------------------------------


async def test_accounts_are_shown_as_ids_wherever_they_are() -> None:
    account = {"id": 3, "email": "e@cms.example", "sessions": [{"id": "s"}], "collection": "users"}
    doc = {
        "id": 1,
        "_status": "published",
        "author": account,
        "people": [account, {"id": 4, "sessions": "morning"}],
        "box": {"by": account},
    }
    [row] = (await answering(lambda request: listing(doc)).documents("posts", limit=5)).rows
    assert row.data["author"] == 3
    assert row.data["people"] == [3, {"id": 4, "sessions": "morning"}]
    assert row.data["box"] == {"by": 3}
    member = {**account, "_status": "published", "hash": "h", "apiKey": "k"}
    [row] = (await answering(lambda request: listing(member)).documents("members", limit=5)).rows
    assert row.data.keys().isdisjoint({"sessions", "hash", "apiKey"})


# -- what can be booked ------------------------------------------------------------------------------------------------


async def test_services_and_events_tell_price_and_seats(cms: Cms) -> None:
    service = await cms.payload.service_by_slug("gift-wrapping", tenants=[HERE])
    event = await cms.payload.event_by_slug("wine-tasting-bbdf25")
    assert service is not None
    assert event is not None
    assert (service.price, service.currency, service.seats, service.duration_minutes) == (
        Decimal("4.5"),
        "EUR",
        100,
        15,
    )
    assert (event.price, event.currency, event.seats) == (Decimal(2850), "ALL", 24)
    assert event.starts_at is not None
    assert await cms.payload.service_by_slug("gift-wrapping", tenants=[THERE]) is None
    assert await cms.payload.service_by_slug("nope") is None


# -- mirrors -----------------------------------------------------------------------------------------------------------


async def test_a_mirrored_row_is_made_once_and_then_changed(cms: Cms) -> None:
    made = await cms.payload.mirror(Mirror.ORDERS, "order_1", {"status": "pending", "data": {"total": 5}})
    assert (made.key, made.data["status"]) == ("order_1", "pending")
    changed = await cms.payload.mirror(Mirror.ORDERS, "order_1", {"status": "completed"})
    assert (changed.data["status"], changed.data["data"]) == ("completed", {"total": 5})
    assert len(cms.store.rows("orders")) == 1
    assert cms.asked == ["PATCH /api/orders", "POST /api/orders", "PATCH /api/orders"]
    found = await cms.payload.mirrored(Mirror.ORDERS, "order_1")
    assert found == changed
    assert await cms.payload.mirrored(Mirror.ORDERS, "order_2") is None


async def test_a_mirrored_row_whose_answer_was_lost_is_not_made_twice(cms: Cms) -> None:
    cms.line.replace([{"method": "POST", "path": "/api/deliveries", "kind": "hang", "when": "after", "count": 1}])
    made = await cms.payload.mirror(Mirror.DELIVERIES, "order_abc", {"status": "created"})
    assert made.data["status"] == "created"
    assert len(cms.store.rows("deliveries")) == 1


async def test_a_mirrored_row_is_forgotten_once(cms: Cms) -> None:
    await cms.payload.mirror(Mirror.VERIFICATIONS, "v1", {"status": "issued"})
    await cms.payload.mirror(Mirror.VERIFICATIONS, "v2", {"status": "issued"})
    for _ in range(2):
        await cms.payload.forget_mirrored(Mirror.VERIFICATIONS, "v1")
    assert [row["gatewayId"] for row in cms.store.rows("verifications")] == ["v2"]


async def test_a_field_that_payload_passed_over_is_noticed(cms: Cms) -> None:
    with pytest.raises(BackendBadResponse, match="keeps no nonsense in orders"):
        await cms.payload.mirror(Mirror.ORDERS, "order_1", {"status": "pending", "nonsense": 1})


async def test_a_mirror_without_our_key_makes_no_rows() -> None:
    cms = Cms(collections=(USERS, Collection("orders", "Order", {"status": Field("text")})))
    with pytest.raises(BackendRejected) as caught:
        await cms.payload.mirror(Mirror.ORDERS, "order_1", {"status": "pending"})
    assert caught.value.reason == "unknown gatewayId"
    assert cms.store.rows("orders") == []


async def test_an_empty_key_is_a_mistake_of_ours(cms: Cms) -> None:
    for ask in (cms.payload.mirrored, cms.payload.forget_mirrored):
        with pytest.raises(ValueError, match="has a key"):
            await ask(Mirror.ORDERS, "")


async def test_what_is_not_valid_names_its_fields() -> None:
    problem = {"label": "Status", "message": "This field has an invalid selection.", "path": "status"}
    error = {
        "name": "j",
        "data": {"collection": "orders", "errors": [problem]},
        "message": "The following field is invalid: Status",
    }
    source = answering(lambda request: httpx.Response(400, json={"errors": [error]}))
    with pytest.raises(BackendRejected, match="status: This field has an invalid selection") as caught:
        await source.mirror(Mirror.ORDERS, "order_1", {"status": "x"})
    assert caught.value.reason == "invalid"


# -- bad days ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(500, json={"errors": [{"message": "Something went wrong."}]}), BackendUnavailable),
        (httpx.Response(200, text="<html>"), BackendBadResponse),
        (httpx.Response(200, json={"errors": [{"message": "no"}]}), BackendBadResponse),
        (httpx.Response(200, json={"docs": [{"_status": "published"}], "totalDocs": 1}), BackendBadResponse),
        (httpx.Response(200, json={"docs": [{"id": [], "_status": "published"}], "totalDocs": 1}), BackendBadResponse),
        (httpx.Response(200, json={"docs": {}, "totalDocs": 1}), BackendBadResponse),
        (httpx.Response(404, text="<html>not found</html>"), BackendRejected),
        (httpx.Response(400, json={"errors": "no list"}), BackendRejected),
    ],
)
async def test_a_bad_answer_has_the_right_name(answer: httpx.Response, error: type[GatewayError]) -> None:
    source = answering(lambda request: answer)
    with pytest.raises(error):
        await source.documents("pages", limit=5)


async def test_a_hang_ends_in_time(cms: Cms) -> None:
    await cms.payload.ping()
    operation.enter(operation.within(0.3, may_retry=False))
    cms.line.replace([{"kind": "hang"}])
    with pytest.raises(BackendTimeout):
        await cms.payload.pages(limit=5)


async def test_no_key_is_in_an_error_or_a_trace(cms: Cms) -> None:
    with pytest.raises(BackendRejected) as caught:
        await cms.payload.documents("nope", limit=5)
    told = json.dumps([str(caught.value), caught.value.extensions, repr(operation.current().calls)], default=str)
    assert keys.PAYLOAD_API_KEY not in told
