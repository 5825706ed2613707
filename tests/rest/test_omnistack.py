"""The paths that platforms have called from the beginning, as their callers read the answers."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.access.callers import CUSTOMER, HERE, MANAGER, STRANGER
from tests.callers import WORLD
from tests.rest.counter import Counter

pytest_plugins = ["tests.engines", "tests.rest.opened"]

VARIANT = WORLD.products[5].variants[0]
PATHS = ("/users", "/clients", "/families", "/batches")


def fresh() -> str:
    return f"n{uuid4().hex[:12]}"


async def made(counter: Counter, path: str, body: Any, by: str = "here", **more: Any) -> dict[str, Any]:
    answer = await counter.ask("POST", path, by, json=body, **more)
    assert answer.is_success, (answer.status_code, answer.text)
    row: dict[str, Any] = answer.json()
    return row


def refused(answer: httpx.Response) -> tuple[int, str]:
    """Its status and code. Fails for an error of another shape."""
    body = answer.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"code", "message"}
    return answer.status_code, body["error"]["code"]


@pytest.mark.parametrize("path", PATHS)
async def test_a_list_is_bare_and_its_rows_have_both_ids(counter: Counter, path: str) -> None:
    answer = await counter.ask("GET", f"{path}?limit=2", "service")
    rows = answer.json()
    assert isinstance(rows, list)
    assert rows
    assert all(row["_id"] == row["id"] for row in rows)
    assert int(answer.headers["x-total-count"]) >= len(rows)


async def test_a_client_is_told_as_it_was_documented(counter: Counter) -> None:
    client = (await counter.ask("GET", f"/clients/{HERE.id}", "here")).json()
    assert client.keys() == {
        "_id", "id", "name", "code", "clientAppId", "externalId", "defaultCurrency", "isActive", "createdAt",
        "updatedAt",
    }  # fmt: skip
    assert (client["_id"], client["code"], client["clientAppId"]) == (HERE.id, HERE.code, HERE.app.id)


async def test_a_list_goes_on_where_it_says(counter: Counter) -> None:
    whole = [row["id"] for row in (await counter.ask("GET", "/users?limit=4", "here")).json()]
    path, walked = "/users?limit=2", []
    for _ in range(2):
        answer = await counter.ask("GET", path, "here")
        walked += [row["id"] for row in answer.json()]
        [path] = re.findall(r'<([^>]*)>; rel="next"', answer.headers["link"])
    assert walked == whole


async def test_a_platform_registers_a_client_and_is_given_its_key_once(counter: Counter) -> None:
    body, key = {"name": "New client", "code": fresh(), "externalId": fresh()}, {"Idempotency-Key": fresh()}
    registered = await made(counter, "/clients", body, "browser", headers=key)
    assert re.fullmatch("sk_[0-9a-f]{64}", registered["apiKey"])
    assert registered["externalId"] == body["externalId"]
    again = await counter.ask("POST", "/clients", "browser", json=body, headers=key)
    assert refused(again) == (409, "CONFLICT")
    assert registered["apiKey"] not in again.text


async def test_users_are_made_changed_and_suspended(counter: Counter) -> None:
    body = {"email": f"{fresh()}@people.example", "name": "Ada", "phone": "+355691234567"}
    user = await made(counter, "/users", body)
    assert (user["clientId"], user["role"], user["status"]) == (HERE.id, "CUSTOMER", "ACTIVE")
    path = f"/users/{user['_id']}"
    renamed = (await counter.ask("PATCH", path, "here", json={"name": "Ada L."})).json()
    assert (renamed["name"], renamed["status"], renamed["email"]) == ("Ada L.", "ACTIVE", body["email"])
    suspended = (await counter.ask("PATCH", path, "here", json={"status": "suspended"})).json()
    assert (suspended["name"], suspended["status"]) == ("Ada L.", "SUSPENDED")
    both = (await counter.ask("PATCH", path, "here", json={"status": "ACTIVE", "name": "Ada"})).json()
    assert (both["name"], both["status"]) == ("Ada", "ACTIVE")
    assert (await counter.ask("GET", path, "here")).json() == both


async def test_of_two_changes_the_second_is_not_made_when_the_first_is_refused(counter: Counter) -> None:
    user = await made(counter, "/users", {"email": f"{fresh()}@people.example", "name": "Ada"})
    path = f"/users/{user['_id']}"
    changed = await counter.ask("PATCH", path, "here", json={"name": " ", "status": "SUSPENDED"})
    assert refused(changed) == (400, "BAD_USER_INPUT")
    assert (await counter.ask("GET", path, "here")).json()["status"] == "ACTIVE"


async def test_a_client_is_renamed(counter: Counter) -> None:
    changed = (await counter.ask("PATCH", f"/clients/{HERE.id}", "here", json={"default_currency": "ALL"})).json()
    assert (changed["_id"], changed["defaultCurrency"]) == (HERE.id, "ALL")


async def test_families_are_made_and_told_with_their_members(counter: Counter) -> None:
    owner = await made(counter, "/users", {"email": f"{fresh()}@people.example", "name": "Ada"})
    family = await made(counter, "/families", {"name": "The Lovelaces", "ownerId": owner["id"]})
    [member] = family["members"]
    assert (member["userId"], member["name"], member["role"]) == (owner["id"], "Ada", "OWNER")
    assert (await counter.ask("GET", f"/families/{family['_id']}", "here")).json() == family
    assert (await counter.ask("GET", f"/users/{owner['_id']}", "here")).json()["familyId"] == family["_id"]


async def test_batches_are_synchronised_as_a_list_or_with_whose_they_are(counter: Counter) -> None:
    batch = {"externalId": fresh(), "sku": VARIANT.sku, "quantity": 3, "expires_at": "2199-12-31"}
    assert await made(counter, "/batches", [batch]) == {"created": 1, "updated": 0, "unchanged": 0}
    whose = {"batches": [{**batch, "quantity": 4}], "clientId": HERE.id}
    assert await made(counter, "/batches", whose, "service") == {"created": 0, "updated": 1, "unchanged": 0}
    listed = (await counter.ask("GET", f"/batches?sku={VARIANT.sku}", "here")).json()
    assert (listed[0]["clientId"], float(listed[0]["quantity"])) == (HERE.id, 4.0)


REFUSED: list[tuple[str, str, str | None, Any, tuple[int, str]]] = [
    ("GET", "/users", None, None, (401, "UNAUTHENTICATED")),
    ("GET", "/users", "narrow", None, (403, "FORBIDDEN")),
    ("GET", f"/users/{STRANGER.id}", "customer", None, (404, "NOT_FOUND")),
    ("GET", "/users/nobody", "here", None, (404, "NOT_FOUND")),
    ("GET", "/users?offset=1", "here", None, (400, "BAD_USER_INPUT")),
    ("GET", "/users?role=emperor", "here", None, (400, "BAD_USER_INPUT")),
    ("POST", "/users", "here", {"email": "no address", "name": "Ada"}, (400, "BAD_USER_INPUT")),
    ("POST", "/users", "here", {"email": CUSTOMER.email, "name": "Ada"}, (409, "CONFLICT")),
    ("POST", "/users", "here", ["Ada"], (400, "BAD_USER_INPUT")),
    ("POST", "/users", "customer", {"email": "a@people.example", "name": "Ada"}, (403, "FORBIDDEN")),
    ("POST", "/users", "browser", {"email": "a@people.example", "name": "Ada"}, (403, "FORBIDDEN")),
    ("PATCH", f"/users/{CUSTOMER.id}", "there", {"name": "Ada"}, (404, "NOT_FOUND")),
    ("PATCH", f"/users/{MANAGER.id}", "staff", {"name": "Ada"}, (403, "FORBIDDEN")),
    ("PATCH", f"/clients/{HERE.id}", "there", {"name": "Ours"}, (404, "NOT_FOUND")),
    ("POST", "/clients", "browser", {"name": "x", "code": WORLD.clients[0].code}, (409, "CONFLICT")),
    ("POST", "/batches", "here", {"batches": [], "surprise": 1}, (400, "BAD_USER_INPUT")),
    ("DELETE", "/users", "here", None, (405, "METHOD_NOT_ALLOWED")),
]


@pytest.mark.parametrize(("method", "path", "by", "body", "expected"), REFUSED)
async def test_failures_are_told_by_status_and_code(
    counter: Counter, method: str, path: str, by: str | None, body: Any, expected: tuple[int, str]
) -> None:
    sent = {} if body is None else {"json": body}
    assert refused(await counter.ask(method, path, by, **sent)) == expected


async def test_a_repeated_write_is_done_once(counter: Counter) -> None:
    body, key = {"email": f"{fresh()}@people.example", "name": "Ada"}, {"Idempotency-Key": fresh()}
    first, second = [await counter.ask("POST", "/users", "here", json=body, headers=key) for _ in range(2)]
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second.headers["idempotency-replayed"] == "true"
