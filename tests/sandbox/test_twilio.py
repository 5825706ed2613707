"""The Twilio simulator takes what the real one would, refuses what it would, and moves messages on."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from sandbox import keys, twilio
from sandbox.store import Store
from sandbox.twilio.routes import ACCOUNT
from tests.clocks import ManualClock

AUTH = (keys.TWILIO_ACCOUNT_SID, keys.TWILIO_AUTH_TOKEN)
MESSAGES = f"{ACCOUNT}/Messages.json"
FORM = {"To": "+355691234567", "From": keys.TWILIO_PHONE_NUMBER, "Body": "Hello"}


@pytest.fixture
def store() -> Store:
    return Store(None)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_768_473_000.0)


def client_of(store: Store, clock: ManualClock, **options: Any) -> httpx.AsyncClient:
    app = twilio.create_app(store, twilio.Options(clock=clock, **options))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sms", auth=AUTH)


@pytest.fixture
async def api(store: Store, clock: ManualClock) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(store, clock) as client:
        yield client


async def test_a_message_is_queued_in_the_words_of_the_api(
    api: httpx.AsyncClient, store: Store, clock: ManualClock
) -> None:
    answer = await api.post(MESSAGES, data={**FORM, "Unknown": "ignored"})
    assert answer.status_code == 201
    message = answer.json()
    assert re.fullmatch("SM[0-9a-f]{32}", message["sid"])
    assert (message["status"], message["num_segments"], message["num_media"]) == ("queued", "1", "0")
    assert (message["price"], message["error_code"], message["date_sent"]) == (None, None, None)
    assert parsedate_to_datetime(message["date_created"]).timestamp() == clock.now
    assert message["uri"] == f"{ACCOUNT}/Messages/{message['sid']}.json"
    assert [(row["to"], row["body"]) for row in store.rows("message")] == [("+355691234567", "Hello")]


async def test_it_moves_on_by_itself(api: httpx.AsyncClient, clock: ManualClock) -> None:
    uri = (await api.post(MESSAGES, data=FORM)).json()["uri"]
    seen = []
    for _ in range(4):
        message = (await api.get(uri)).json()
        seen.append((message["status"], message["price"]))
        clock.now += 1.5
    assert seen == [("queued", None), ("sent", "-0.00790"), ("delivered", "-0.00790"), ("delivered", "-0.00790")]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"To": ""}, 21604),
        ({"From": ""}, 21603),
        ({"Body": ""}, 21602),
        ({"To": "0691234567"}, 21211),
        ({"To": "+15005550001"}, 21211),
        ({"To": "+15005550009"}, 21614),
        ({"To": "+15005550004"}, 21610),
        ({"To": "+15005550002"}, 21612),
        ({"From": "+15005550001"}, 21212),
        ({"From": "+15005550007"}, 21606),
        ({"Body": "x" * 1601}, 21617),
    ],
)
async def test_it_refuses_with_its_codes(
    api: httpx.AsyncClient, store: Store, changes: dict[str, str], code: int
) -> None:
    answer = await api.post(MESSAGES, data={**FORM, **changes})
    error = answer.json()
    assert (answer.status_code, error["status"], error["code"]) == (400, 400, code)
    assert error["more_info"].endswith(str(code))
    assert not store.rows("message")


async def test_a_json_body_has_no_parameters(api: httpx.AsyncClient) -> None:
    assert (await api.post(MESSAGES, json=FORM)).json()["code"] == 21604


@pytest.mark.parametrize(
    ("body", "count"),
    [("x" * 160, "1"), ("x" * 161, "2"), ("€" * 81, "2"), ("ë" * 70, "1"), ("ë" * 71, "2"), ("👋" * 36, "2")],
)
async def test_long_ones_are_cut_into_segments(api: httpx.AsyncClient, body: str, count: str) -> None:
    assert (await api.post(MESSAGES, data={**FORM, "Body": body})).json()["num_segments"] == count


async def test_lists_are_followed_page_by_page(api: httpx.AsyncClient) -> None:
    sent = [(await api.post(MESSAGES, data={**FORM, "Body": str(n)})).json()["sid"] for n in range(5)]
    await api.post(MESSAGES, data={**FORM, "To": "+355690000000"})
    page = (await api.get(MESSAGES, params={"To": FORM["To"], "PageSize": "2"})).json()
    found = [row["sid"] for row in page["messages"]]
    while page["next_page_uri"]:
        assert page["next_page_uri"].startswith("/2010-04-01/")
        page = (await api.get(page["next_page_uri"])).json()
        found += [row["sid"] for row in page["messages"]]
    assert found == sent[::-1]


async def test_a_message_is_redacted_when_it_has_arrived_and_can_be_deleted(
    api: httpx.AsyncClient, clock: ManualClock
) -> None:
    uri = (await api.post(MESSAGES, data=FORM)).json()["uri"]
    assert (await api.post(uri, data={"Body": ""})).status_code == 400
    assert (await api.post(uri, data={"Status": "canceled"})).json()["code"] == 30409
    clock.now += 5
    assert (await api.post(uri, data={"Body": ""})).json()["body"] == ""
    assert (await api.delete(uri)).status_code == 204
    assert (await api.get(uri)).json()["code"] == 20404


async def test_nobody_else_may_call(api: httpx.AsyncClient, store: Store, clock: ManualClock) -> None:
    for auth in (("AC1", keys.TWILIO_AUTH_TOKEN), (keys.TWILIO_ACCOUNT_SID, "x")):
        answer = await api.post(MESSAGES, data=FORM, auth=auth)
        assert (answer.status_code, answer.json()["code"]) == (401, 20003)
    other = MESSAGES.replace(keys.TWILIO_ACCOUNT_SID, "AC" + "0" * 32)
    assert (await api.post(other, data=FORM)).json()["code"] == 20404
    assert not store.rows("message")
    async with client_of(store, clock, rate_per_second=1) as hurried:
        statuses = [(await hurried.post(MESSAGES, data=FORM)).status_code for _ in range(2)]
    assert statuses == [201, 429]


async def test_it_says_what_it_does_not_know(api: httpx.AsyncClient) -> None:
    assert (await api.get("/2010-04-01/Elsewhere.json")).status_code == 404
    assert (await api.put(MESSAGES)).status_code == 405
    assert (await api.get(f"{ACCOUNT}.json")).json()["status"] == "active"
