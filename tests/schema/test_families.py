"""Changing families through the schema: who may, and what the same operation reads afterwards."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from core import operation
from core.demo import DemoCredentials
from core.operation import Operation
from core.principals import Principal
from datasources import Sources
from datasources.mongo import Mongo
from resolvers.context import Context
from tests import callers
from tests.callers import WORLD
from tests.conftest import Callers, MakeContext, demo_documents
from tests.schema.people import ask

THEIRS = WORLD.clients[2]
PEOPLE = [person.id for person in WORLD.customers if person.client is THEIRS]
ANN, BEN = PEOPLE[6:8]
"""In no family."""

STORY = """mutation($ann: ID!) {
    createFamily(input: {name: "The Demos", ownerId: $ann}) {
        id name client { code } members { role user { id email family { name } } } benefits { code }
    }
}"""
GOING_ON = """mutation($id: ID!, $ann: ID!, $ben: ID!) {
    one: addFamilyMember(familyId: $id, userId: $ben, role: ADULT) { members { role user { id family { id } } } }
    two: addFamilyMember(familyId: $id, userId: $ben, role: OWNER) { members { role } }
    three: shareFamilyBenefit(familyId: $id, input: {
        code: "TEN", name: "Ten", sharedById: $ann, percentOff: "12.50", validUntil: "2099-01-01T00:00:00Z"
    }) { benefits { code percentOff validUntil sharedBy { id } } }
    four: revokeFamilyBenefit(familyId: $id, code: "TEN") { benefits { validUntil } }
    five: removeFamilyMember(familyId: $id, userId: $ann) { members { role user { id } } }
}"""


@pytest.fixture
def seen_by(empty_mongo: Mongo) -> Context:
    operation.enter(Operation())
    staff = callers.user(callers.person("STAFF", client=2))
    return Context(cast("Sources", SimpleNamespace(mongo=empty_mongo)), staff)


async def test_a_familys_story_in_one_operation(seen_by: Context, empty_mongo: Mongo, demo: DemoCredentials) -> None:
    await empty_mongo.insert({name: demo_documents(demo)[name] for name in ("clients", "users")})
    made = await ask(seen_by, STORY, ann=ANN)
    assert made.errors == []
    family = made.data["createFamily"]
    assert (family["name"], family["client"]["code"], family["benefits"]) == ("The Demos", THEIRS.code, [])
    [member] = family["members"]
    assert (member["role"], member["user"]["id"], member["user"]["family"]) == ("OWNER", ANN, {"name": "The Demos"})
    answer = await ask(seen_by, GOING_ON, id=family["id"], ann=ANN, ben=BEN)
    assert answer.errors == []
    assert answer.data["one"]["members"] == [
        {"role": "OWNER", "user": {"id": ANN, "family": {"id": family["id"]}}},
        {"role": "ADULT", "user": {"id": BEN, "family": {"id": family["id"]}}},
    ]
    assert [member["role"] for member in answer.data["two"]["members"]] == ["ADULT", "OWNER"]
    [benefit] = answer.data["three"]["benefits"]
    assert benefit == {
        "code": "TEN",
        "percentOff": "12.5",
        "validUntil": "2099-01-01T00:00:00+00:00",
        "sharedBy": {"id": ANN},
    }
    assert answer.data["four"]["benefits"][0]["validUntil"] < benefit["validUntil"]
    assert answer.data["five"]["members"] == [{"role": "OWNER", "user": {"id": BEN}}]


async def test_customers_read_and_do_not_change(make_context: MakeContext, customer: Principal) -> None:
    ctx = make_context(customer)
    read = await ask(ctx, "{ families { nodes { id members { user { id } } } } }")
    [family] = read.data["families"]["nodes"]
    assert customer.user_id in [member["user"]["id"] for member in family["members"]]
    answer = await ask(make_context(customer), GOING_ON, id=family["id"], ann=PEOPLE[0], ben=BEN)
    assert set(answer.data.values()) == {None}
    assert {code for _, code in answer.errors} == {"FORBIDDEN"}
    again = await ask(make_context(customer), "{ families { nodes { id members { user { id } } } } }")
    assert again.data == read.data


@pytest.mark.parametrize("caller", ["staff", "client", "server_side_platform", "service"])
async def test_members_of_many_families_are_one_find(make_context: MakeContext, callers: Callers, caller: str) -> None:
    query = "{ families { nodes { id members { role joinedAt user { id name } } } } }"
    answer = await ask(make_context(callers[caller]), query)
    assert answer.errors == []
    assert sorted(answer.calls) == [("find", "families"), ("find", "users")]
    assert all(len(family["members"]) == 3 for family in answer.data["families"]["nodes"])
