"""`GET /status/{number}`: signed lists of what is revoked, for everybody."""

from __future__ import annotations

import base64
import gzip
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI

from core import jwt_credentials
from core.backends import BackendName
from core.errors import BackendUnavailable
from core.settings import Settings
from datasources import Sources
from datasources.mongo import LIST_SIZE, CredentialToIssue, Mongo
from resolvers.status_lists import FRESH_S, StatusLists
from rest.status_lists import status_lists
from tests.identity import GATEWAY, TYPE, Clock, Identity, open_identity


class Published:
    """The gateway as others reach it."""

    def __init__(self, mongo: Mongo, identity: Identity) -> None:
        self.mongo, self.identity = mongo, identity
        settings = Settings.model_validate({"public_url": f"{GATEWAY}/"})
        sources = SimpleNamespace(mongo=mongo, waltid=identity.waltid, settings=settings)
        self.app = FastAPI()
        self.app.include_router(status_lists())
        self.app.state.gateway = SimpleNamespace(sources=cast("Sources", sources))

    async def get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=GATEWAY) as client:
            return await client.get(path, headers={"Accept": "text/plain"})

    async def issue(self, n: int, number: int = 1, place: int | None = None) -> str:
        """Its id. With a place, exactly there."""
        new = CredentialToIssue(TYPE, "did:jwk:x", {"n": n}, id=f"urn:uuid:{n}")
        made = await self.mongo.reserve_credential(new)
        if place is not None:
            where = {"statusList": number, "statusListIndex": place}
            await self.mongo._change_credential(made.id, lambda found: {**found, **where})
        return made.id

    async def listed(self, number: int = 1) -> dict[str, Any]:
        """What the list says of its subject, whose signature is checked."""
        self.app.state.status_lists = None
        answer = await self.get(f"/status/{number}")
        assert answer.status_code == 200
        said = jwt_credentials.read(answer.text)
        assert jwt_credentials.is_signed_by_issuer(said)
        assert said.issuer == self.identity.waltid.issuer_did
        assert said.id == said.body["id"] == f"{GATEWAY}/status/{number}"
        assert said.types == ("VerifiableCredential", "BitstringStatusListCredential")
        return dict(said.body["credentialSubject"])


@pytest.fixture
async def published(empty_mongo: Mongo) -> AsyncIterator[Published]:
    async with open_identity() as identity:
        yield Published(empty_mongo, identity)


def unpacked(encoded: str) -> bytes:
    assert encoded.startswith("u")
    packed = encoded[1:]
    return gzip.decompress(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))


async def test_a_list_is_a_signed_credential_that_says_what_is_revoked(published: Published) -> None:
    for n, place in enumerate((0, 9, LIST_SIZE - 1, 77)):
        name = await published.issue(n, place=place)
        if n < 3:
            await published.mongo.revoke_credential(name)
    about = await published.listed()
    assert {name: about[name] for name in ("id", "type", "statusPurpose")} == {
        "id": f"{GATEWAY}/status/1#list",
        "type": "BitstringStatusList",
        "statusPurpose": "revocation",
    }
    bits = unpacked(about["encodedList"])
    assert len(bits) * 8 == LIST_SIZE == 131_072
    assert {place: byte for place, byte in enumerate(bits) if byte} == {0: 0x80, 1: 0x40, len(bits) - 1: 0x01}


async def test_lists_are_apart(published: Published) -> None:
    first, second = await published.issue(1, place=5), await published.issue(2, number=2, place=5)
    await published.mongo.revoke_credential(second)
    assert not any(unpacked((await published.listed(1))["encodedList"]))
    assert any(unpacked((await published.listed(2))["encodedList"]))
    assert first


async def test_it_is_plain_text_that_anybody_may_keep_for_a_minute(published: Published) -> None:
    await published.issue(1)
    answer = await published.get("/status/1")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=60"


async def test_nobody_is_named(published: Published) -> None:
    name = await published.issue(1)
    await published.mongo.revoke_credential(name)
    answer = await published.get("/status/1")
    claims = jwt_credentials.read(answer.text).claims
    assert name not in str(claims)
    assert TYPE not in str(claims)


@pytest.mark.parametrize("number", ["0", "2", "01", "-1", "x", "99999", "1.0", "١", "1%2F2", "1%00"])
async def test_a_list_that_there_is_not(published: Published, number: str) -> None:
    await published.issue(1, place=1)
    assert (await published.get(f"/status/{number}")).status_code == 404


async def test_it_is_signed_anew_every_few_seconds_only(published: Published) -> None:
    name, clock = await published.issue(1), Clock(1000.0)
    kept = StatusLists(published.app.state.gateway.sources, clock)
    before = await kept.token(1)
    await published.mongo.revoke_credential(name)
    clock.now_s += FRESH_S - 0.1
    assert await kept.token(1) == before
    clock.now_s += 0.1
    about = [jwt_credentials.read(token or "").body["credentialSubject"] for token in (before, await kept.token(1))]
    assert about[0] != about[1]


async def test_while_it_cannot_be_told_nothing_is_said(published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    async def down(number: int) -> None:
        raise BackendUnavailable(BackendName.OMNISTACK, "down")

    monkeypatch.setattr(published.mongo, "revoked_in_list", down)
    answer = await published.get("/status/1")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_walt_id_may_be_down(published: Published) -> None:
    await published.issue(1)
    assert (await published.get("/status/1")).status_code == 200
    assert published.identity.paths == []
