"""What a router is shown of rows that other subgraphs refer to: what their root fields show the same caller."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from core.settings import Settings
from schema import build_schema
from schema.federation import KINDS, MOST_REPRESENTATIONS
from tests.access.callers import NAMES, Caller
from tests.access.decisions import READS
from tests.access.gateway import Answer, Served
from tests.access.world import absent

ENTITIES = (
    "query ($asked: [_Any!]!) { _entities(representations: $asked) { __typename "
    + " ".join(f"... on {kind} {{ id }}" for kind in KINDS)
    + " } }"
)
SERVICE = "service"
ROWS_AT_ONCE = 50


async def ask(served: Served, caller: str, asked: Sequence[Any]) -> Answer:
    return await served.ask(served.callers[caller], ENTITIES, {"asked": list(asked)})


def named(kind: str, key: str) -> dict[str, str]:
    return {"__typename": kind, "id": key}


def assert_at_most(calls: dict[str, int], answer: Answer) -> None:
    """None where the rows are remembered still from an earlier question."""
    assert answer.upstream.items() <= calls.items()


def root_of(kind: str) -> str:
    return KINDS[kind].root.partition(".")[2]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
async def test_a_router_is_shown_what_its_caller_is(served: Served, name: str, kind: str) -> None:
    caller: Caller = served.callers[name]
    word, rows = READS[root_of(kind)][caller.kind], served.some(kind)
    answer = await ask(served, name, [named(kind, row.key) for row in rows])
    if word == "no":
        assert answer.data == {"_entities": [None] * len(rows)}
        assert set(answer.codes) == {"FORBIDDEN"}
        assert answer.upstream == {}
    else:
        assert "errors" not in answer.body, answer.body["errors"]
        expected = [named(kind, row.key) if row.is_shown(caller, word) else None for row in rows]
        assert answer.data["_entities"] == expected


@pytest.mark.parametrize(
    ("kind", "calls"),
    [
        ("Client", {"omnistack": 1}),
        ("Credential", {"omnistack": 1}),
        ("Delivery", {"fleetbase": 1}),
        ("Invoice", {"erpnext": 1}),
        ("Order", {"medusa": 1}),
        ("Product", {"medusa": 1}),
        ("User", {"omnistack": 1}),
        ("Workflow", {"temporal": 1}),
    ],
)
async def test_fifty_rows_of_a_kind_are_one_call(served: Served, kind: str, calls: dict[str, int]) -> None:
    keys = [row.key for row in served.rows[kind]][:ROWS_AT_ONCE]
    # Twice as many questions: each row is asked for once.
    answer = await ask(served, SERVICE, [named(kind, key) for key in [*keys, *keys]])
    assert answer.data["_entities"] == [named(kind, key) for key in [*keys, *keys]]
    assert_at_most(calls, answer)


@pytest.mark.parametrize(
    ("kind", "calls"), [("Delivery", {"fleetbase": 1, "medusa": 1}), ("Invoice", {"erpnext": 1, "medusa": 1})]
)
async def test_whose_fifty_rows_are_is_found_in_one_more(served: Served, kind: str, calls: dict[str, int]) -> None:
    """As it follows from their orders."""
    keys = [row.key for row in served.rows[kind] if row.key.startswith(("order_", "ACC"))][:ROWS_AT_ONCE]
    assert len(keys) == ROWS_AT_ONCE
    answer = await ask(served, "customer", [named(kind, key) for key in keys])
    assert_at_most(calls, answer)


async def test_rows_of_all_kinds_come_in_the_order_of_the_representations(served: Served) -> None:
    asked = [named(kind, served.rows[kind][n].key) for n in (1, 0) for kind in KINDS]
    answer = await ask(served, SERVICE, asked)
    assert answer.data["_entities"] == asked


async def test_fields_of_a_row_are_those_of_its_root_field(served: Served) -> None:
    key = served.rows["Order"][0].key
    fields = "id displayId total { amount currency } items { title } customer { email } invoice { number }"
    document = f"query ($asked: [_Any!]!) {{ _entities(representations: $asked) {{ ... on Order {{ {fields} }} }} }}"
    found = (await served.ask(served.callers[SERVICE], document, {"asked": [named("Order", key)]})).only()
    alone = (await served.ask(served.callers[SERVICE], f'{{ order(id: "{key}") {{ {fields} }} }}')).only()
    assert found == [alone]


@pytest.mark.parametrize(
    "wrong",
    [
        {"__typename": "Money", "id": "1"},
        {"__typename": "__Schema", "id": "1"},
        {"__typename": ["Order"], "id": "1"},
        {"__typename": "Order"},
        {"__typename": "Order", "id": None},
        {"__typename": "Order", "id": True},
        {"__typename": "Order", "id": {"$ne": ""}},
        {"id": "1"},
        "Order",
        7,
    ],
    ids=str,
)
async def test_a_representation_of_nothing_is_told_and_the_others_arrive(served: Served, wrong: Any) -> None:
    order = named("Order", served.rows["Order"][0].key)
    answer = await ask(served, SERVICE, [wrong, order])
    assert answer.data["_entities"] == [None, order]
    [error] = answer.body["errors"]
    assert (error["extensions"]["code"], error["path"]) == ("BAD_USER_INPUT", ["_entities", 0])
    assert "KeyError" not in error["message"]


async def test_what_is_not_there_is_null_and_no_error(served: Served) -> None:
    asked = [named(kind, absent(kind)) for kind in KINDS]
    answer = await ask(served, SERVICE, asked)
    assert answer.data["_entities"] == [None] * len(asked)
    assert answer.codes == []


async def test_more_representations_than_anybody_needs_are_refused(served: Served) -> None:
    asked = [named("User", f"{n:024x}") for n in range(MOST_REPRESENTATIONS + 1)]
    refused = await ask(served, SERVICE, asked)
    assert (refused.data, refused.codes) == (None, ["BAD_USER_INPUT"])
    assert refused.upstream == {}
    assert (await ask(served, SERVICE, asked[1:])).codes == []


async def test_nobody_without_credentials_is_shown_anything(served: Served) -> None:
    answer = await served.ask({}, ENTITIES, {"asked": [named("Product", served.rows["Product"][0].key)]})
    assert (answer.status, answer.codes) == (401, ["UNAUTHENTICATED"])


async def test_a_router_is_told_the_schema_as_it_is_printed(served: Served) -> None:
    answer = await served.ask(served.callers["server"], "{ _service { sdl } }")
    assert answer.only() == {"sdl": build_schema(Settings()).as_str()}
