"""The collection of credentials: one row each, and no two at one place of a status list."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import pytest

from core.errors import Conflict
from datasources.mongo import CredentialStatus, CredentialToIssue, Mongo, credentials
from sandbox.world import object_id

CLIENT, USER = object_id(2, 1), object_id(3, 1)


def wanted(n: int = 1, **more: Any) -> CredentialToIssue:
    return CredentialToIssue("MembershipCredential", "did:jwk:x", {"n": n}, CLIENT, USER, id=f"urn:uuid:{n}", **more)


async def test_a_row_is_there_before_anything_else(empty_mongo: Mongo) -> None:
    made = await empty_mongo.reserve_credential(wanted())
    assert (made.id, made.client_id, made.user_id, made.claims) == ("urn:uuid:1", CLIENT, USER, {"n": 1})
    assert (made.status, made.held_as, made.status_list) == (CredentialStatus.UNKNOWN, None, 1)
    assert made.status_list_index is not None
    assert 0 <= made.status_list_index < credentials.LIST_SIZE
    assert await empty_mongo.credential("urn:uuid:1") == made
    assert await empty_mongo.credential("urn:uuid:2") is None


async def test_many_at_once_reserve_one_row_of_one_id(empty_mongo: Mongo) -> None:
    made = await asyncio.gather(*(empty_mongo.reserve_credential(wanted()) for _ in range(8)))
    assert len({row.key for row in made}) == 1
    assert await empty_mongo.count_credentials() == 1


async def test_no_two_have_one_place(empty_mongo: Mongo, monkeypatch: pytest.MonkeyPatch) -> None:
    places = iter([7, 7, 7, 8])
    monkeypatch.setattr(secrets, "randbelow", lambda size: next(places))
    first, second = [await empty_mongo.reserve_credential(wanted(n)) for n in (1, 2)]
    assert (first.status_list_index, second.status_list_index) == (7, 8)


async def test_a_full_list_is_followed_by_the_next(empty_mongo: Mongo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "randbelow", lambda size: 7)
    rows = [await empty_mongo.reserve_credential(wanted(n)) for n in (1, 2, 3)]
    assert [row.status_list for row in rows] == [1, 2, 3]
    monkeypatch.setattr(credentials, "MOST_LISTS", 3)
    with pytest.raises(Conflict, match="full"):
        await empty_mongo.reserve_credential(wanted(4))


async def test_what_becomes_of_it(empty_mongo: Mongo) -> None:
    made = await empty_mongo.reserve_credential(wanted())
    issued = await empty_mongo.credential_issued(
        made.id, held_as="h", subject="did:jwk:s", issued_at=made.created_at, expires_at=None
    )
    assert issued is not None
    assert (issued.status, issued.held_as, issued.subject) == (CredentialStatus.VALID, "h", "did:jwk:s")
    assert issued.issued_at == made.created_at
    assert await empty_mongo.revoked_in_list(1) == []
    revoked = await empty_mongo.revoke_credential(made.id)
    assert revoked is not None
    assert (revoked.status, revoked.status_list_index) == (CredentialStatus.REVOKED, made.status_list_index)
    assert await empty_mongo.revoke_credential(made.id) == revoked
    assert await empty_mongo.revoked_in_list(1) == [made.status_list_index]
    assert await empty_mongo.revoked_in_list(2) is None


async def test_what_nobody_holds_can_be_forgotten(empty_mongo: Mongo) -> None:
    for n in (1, 2):
        await empty_mongo.reserve_credential(wanted(n))
    await empty_mongo.credential_issued("urn:uuid:2", held_as="h", subject=None, issued_at=None, expires_at=None)
    for n in (1, 2, 3):
        await empty_mongo.forget_credential(f"urn:uuid:{n}")
    assert [row.id for row in await empty_mongo.credentials(limit=9)] == ["urn:uuid:2"]


async def test_of_one_that_is_not_there_nothing_becomes(empty_mongo: Mongo) -> None:
    assert await empty_mongo.revoke_credential("urn:uuid:1") is None
    assert await empty_mongo.credential_offered("urn:uuid:1", "x", (await _now(empty_mongo))) is None


async def _now(store: Mongo) -> Any:
    return (await store.reserve_credential(wanted(9))).created_at
