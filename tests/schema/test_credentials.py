"""Credentials as queries see them, and in how many calls."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import pytest

from core import operation
from core.backends import BackendName
from core.principals import Principal
from core.settings import Settings
from datasources.mongo import NewUser
from resolvers.keysets import SPREAD
from sandbox.faults import Fault
from sandbox.keys import WALTID_ISSUER_KEY
from sandbox.waltid.seeding import credential_id
from schema import build_schema
from tests.callers import SERVICE
from tests.registry import ANN, BOB, CLIENT, CUSTOMER, MANAGER, STAFF, Registry

pytest_plugins = ["tests.issuing"]

SCHEMA = build_schema(Settings())
ISSUE = """mutation ($input: IssueCredentialInput!) { issueCredential(input: $input) {
    id type format issuer subject status issuedAt expiresAt claims offerUrl holder { id name }
} }"""
VERIFY = """mutation ($input: VerifyCredentialInput!) { verifyCredential(input: $input) {
    id verified requestUrl policies { policy passed detail }
} }"""
PRESENT = (
    "mutation ($input: CreatePresentationInput!) { createPresentation(input: $input) { id redirectUri verified } }"
)


async def try_to(registry: Registry, by: Principal, document: str, **variables: Any) -> tuple[Any, dict[str, str]]:
    """The data of an operation, and its errors' codes by field."""
    result = await SCHEMA.execute(document, context_value=registry.context(by), variable_values=variables)
    codes = {".".join(map(str, error.path or ())): (error.extensions or {})["code"] for error in result.errors or ()}
    return result.data, codes


async def ask(registry: Registry, by: Principal, document: str, **variables: Any) -> Any:
    """The data of an operation that has no errors."""
    data, codes = await try_to(registry, by, document, **variables)
    assert codes == {}
    return data


def commands() -> Counter[str]:
    """What the operation that ran last has asked of the core store."""
    calls = [call for call in operation.current().calls if call.backend is BackendName.OMNISTACK]
    return Counter(f"{call.method} {call.path}" for call in calls)


async def test_a_credential_is_issued_and_shown(registry: Registry) -> None:
    wanted = {"userId": ANN.id, "type": "MembershipCredential", "claims": {"level": "gold"}}
    made = (await ask(registry, MANAGER, ISSUE, input=wanted))["issueCredential"]
    assert made["type"] == ["VerifiableCredential", "MembershipCredential"]
    assert (made["format"], made["status"], made["claims"]) == ("jwt_vc_json", "VALID", {"level": "gold"})
    assert made["holder"] == {"id": ANN.id, "name": ANN.name}
    assert made["issuedAt"] < made["expiresAt"]
    assert made["issuer"].startswith("did:jwk:")
    assert made["subject"].startswith("did:jwk:")
    assert made["offerUrl"] is None
    shown = await ask(registry, CUSTOMER, "query ($id: ID!) { credential(id: $id) { id status } }", id=made["id"])
    assert shown == {"credential": {"id": made["id"], "status": "VALID"}}


async def test_an_offer_is_shown_to_those_who_may_issue(registry: Registry) -> None:
    wanted = {"type": "MembershipCredential", "claims": {"level": "gold"}}
    made = (await ask(registry, MANAGER, ISSUE, input=wanted))["issueCredential"]
    assert (made["status"], made["holder"], made["subject"]) == ("OFFERED", None, None)
    assert made["offerUrl"].startswith("openid-credential-offer://")
    query = "query ($id: ID!) { credential(id: $id) { status offerUrl } }"
    shown, codes = await try_to(registry, STAFF, query, id=made["id"])
    assert (shown["credential"], codes) == (
        {"status": "OFFERED", "offerUrl": None},
        {"credential.offerUrl": "FORBIDDEN"},
    )


async def test_a_credential_is_asked_for_presented_and_seen(registry: Registry) -> None:
    asked = (await ask(registry, STAFF, VERIFY, input={"credentialType": "CustomerCredential"}))["verifyCredential"]
    assert (asked["verified"], asked["policies"]) == (None, [])
    wanted = {"userId": ANN.id, "credentialIds": [credential_id(ANN)], "requestUrl": asked["requestUrl"]}
    shown = await ask(registry, CUSTOMER, PRESENT, input=wanted)
    assert shown == {"createPresentation": {"id": asked["id"], "redirectUri": None, "verified": True}}
    query = """query ($id: ID!) { credentialVerification(id: $id) {
        id verified requestUrl policies { policy passed detail }
    } }"""
    seen = (await ask(registry, STAFF, query, id=asked["id"]))["credentialVerification"]
    assert (seen["id"], seen["verified"], seen["requestUrl"]) == (asked["id"], True, None)
    assert {"policy": "signature", "passed": True, "detail": {"of": "VerifiableCredential"}} in seen["policies"]


async def test_a_credential_in_hand_is_checked_at_once(registry: Registry) -> None:
    held = registry.identity.held(ANN.wallet_id)[0]["document"]
    wanted = {"credentialType": "CustomerCredential", "credential": held}
    found = (await ask(registry, CUSTOMER, VERIFY, input=wanted))["verifyCredential"]
    assert (found["verified"], found["requestUrl"]) == (True, None)
    assert all(each["passed"] and each["detail"] for each in found["policies"])


async def test_credentials_of_fifty_people_are_one_call(registry: Registry) -> None:
    people = [
        await registry.mongo.create_user(NewUser(client_id=CLIENT.id, email=f"u{n}@new.example", name=f"U {n}"))
        for n in range(50)
    ]
    data = await ask(registry, STAFF, "{ users(first: 50) { nodes { id credentials { nodes { id } } } } }")
    assert {node["id"] for node in data["users"]["nodes"]} == {person.id for person in people}
    assert commands() == {"find users": 1, "find credentials": 1}
    assert registry.identity.paths == []


async def test_people_whom_the_shared_call_leaves_short_are_asked_for_alone(registry: Registry) -> None:
    """The newest rows are all one person's."""
    issued = 4 * SPREAD
    for _ in range(issued):
        await registry.issue(user_id=ANN.id)
    query = """query ($ids: [ID!]) { users(filter: {ids: $ids}) { nodes { id credentials(first: 1) {
        nodes { id } pageInfo { hasNextPage endCursor } totalCount
    } } } }"""
    data = await ask(registry, STAFF, query, ids=[ANN.id, BOB.id])
    of = {node["id"]: node["credentials"] for node in data["users"]["nodes"]}
    assert commands() == {"find users": 1, "find credentials": 4}
    newest = (await registry.mongo.credentials(limit=1))[0].id
    assert of[ANN.id]["nodes"] == [{"id": newest}]
    assert (of[ANN.id]["pageInfo"]["hasNextPage"], of[ANN.id]["totalCount"]) == (True, issued + 1)
    assert of[BOB.id]["nodes"] == [{"id": credential_id(BOB)}]
    assert (of[BOB.id]["pageInfo"]["hasNextPage"], of[BOB.id]["totalCount"]) == (False, 1)
    more = """query ($id: ID!, $after: String) { user(id: $id) {
        credentials(first: 99, after: $after) { nodes { id } }
    } }"""
    rest = await ask(registry, STAFF, more, id=ANN.id, after=of[ANN.id]["pageInfo"]["endCursor"])
    assert len(rest["user"]["credentials"]["nodes"]) == issued
    assert newest not in {node["id"] for node in rest["user"]["credentials"]["nodes"]}


async def test_holders_of_a_list_are_one_call(registry: Registry) -> None:
    data = await ask(registry, SERVICE, "{ credentials(first: 40) { nodes { id holder { id } } } }")
    nodes = data["credentials"]["nodes"]
    assert len({node["holder"]["id"] for node in nodes}) == 40
    assert commands() == {"find credentials": 1, "find users": 1}


async def test_identifiers_cost_a_call_for_each_wallet(registry: Registry) -> None:
    query = "{ dids { did alias keyId isDefault } }"
    first = await ask(registry, STAFF, query)
    assert all(each["keyId"] and each["isDefault"] for each in first["dids"][1:])
    registry.identity.forget_calls()
    assert await ask(registry, STAFF, query) == first
    assert len(registry.identity.paths) == len(first["dids"]) - 1 == 10


async def test_who_may_not_is_told_so_and_nothing_is_asked(registry: Registry) -> None:
    _, codes = await try_to(registry, CUSTOMER, ISSUE, input={"type": "X", "claims": {}})
    assert codes == {"issueCredential": "FORBIDDEN"}
    _, codes = await try_to(registry, CUSTOMER, "{ dids { did } }")
    assert codes == {"dids": "FORBIDDEN"}
    _, codes = await try_to(registry, STAFF, ISSUE, input={"userId": ANN.id, "type": "X", "claims": {}})
    assert codes == {"issueCredential": "FORBIDDEN"}
    assert registry.identity.paths == []


async def test_when_walt_id_is_down_what_was_issued_is_still_there(registry: Registry) -> None:
    registry.identity.line.faults = [Fault("status", status=500)]
    data, codes = await try_to(registry, STAFF, "{ credentials { nodes { id } } dids { did } }")
    assert data["credentials"]["nodes"]
    assert (data["dids"], codes) == (None, {"dids": "UPSTREAM_UNAVAILABLE"})


async def test_no_secret_is_in_an_answer_or_a_log(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wanted = {"userId": ANN.id, "type": "MembershipCredential", "claims": {"level": "gold"}}
    answers = [await try_to(registry, MANAGER, ISSUE, input=wanted)]
    registry.identity.line.faults = [Fault("status", status=400, path="/issuer/raw/jwt/sign")]
    answers.append(await try_to(registry, MANAGER, ISSUE, input=wanted))
    asked = await ask(registry, STAFF, VERIFY, input={"credentialType": "CustomerCredential"})
    answers.append(asked)
    sessions = registry.identity.waltid._sessions.values()
    secrets = [str(WALTID_ISSUER_KEY["d"]), *(session.token for session in sessions)]
    stored = [str(row) for name in ("credentials", "ownership", "audit") for row in await _all(registry, name)]
    assert len(secrets) > 1
    for secret in secrets:
        assert secret not in f"{answers}{caplog.text}{stored}"


async def _all(registry: Registry, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await registry.mongo._db[name].find({}).to_list(None)
    return found
