"""The audit: who did what to keys and access, from where; nothing unrecorded, nothing rewritten, no secret."""

from __future__ import annotations

import inspect
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core import operation
from core.errors import BackendUnavailable, Conflict, NotFound
from datasources.mongo import BackendScopeRecord, Mongo
from datasources.mongo.audit import Audit
from resolvers import clients
from resolvers.audit import AuditEvent, audited
from resolvers.clients import ClientToRegister
from resolvers.context import Context
from sandbox.world import World
from tests.conftest import CLIENT, PLATFORM, SERVER_SIDE_PLATFORM
from tests.gatehouse import Gatehouse

WORLD = World(datetime.now(UTC))
APP, OURS = WORLD.apps[1], WORLD.clients[2]


async def test_every_change_of_keys_and_access_has_its_entry(gatehouse: Gatehouse) -> None:
    service = await gatehouse.context()
    app = await clients.register_client_app(service, name="New", scopes=["core:read"], is_server_side=True)
    client = await clients.register_client(
        service, ClientToRegister("One", "ONE", external_id="ext-1", client_app_id=app.owner.id)
    )
    scope = BackendScopeRecord(medusa_sales_channel_ids=("sc_1",), erp_company="One Ltd")
    await clients.set_backend_scope(service, client.owner.id, scope)
    await clients.rotate_client_key(service, client.owner.id, overlap_s=60, expires_in_days=30)
    await clients.rotate_client_app_key(service, app.owner.id, overlap_s=0, expires_in_days=None)
    for is_active in (False, True):
        await clients.set_client_active(service, client.owner.id, is_active)
        await clients.set_client_app_active(service, app.owner.id, is_active)
    entries = await gatehouse.mongo.audit(last=100)
    assert [(entry.event, entry.subject["kind"]) for entry in entries] == [
        ("app.registered", "client_app"),
        ("client.registered", "client"),
        ("client.backend_scope_set", "client"),
        ("key.rotated", "client"),
        ("key.rotated", "client_app"),
        ("client.deactivated", "client"),
        ("app.deactivated", "client_app"),
        ("client.activated", "client"),
        ("app.activated", "client_app"),
    ]
    ids = {"client_app": app.owner.id, "client": client.owner.id}
    assert all(entry.subject["id"] == ids[entry.subject["kind"]] for entry in entries)
    details = [entry.detail for entry in entries]
    assert details[0] == {"name": "New", "scopes": ["core:read"], "isServerSide": True}
    assert details[1] == {"clientAppId": app.owner.id, "code": "ONE", "externalId": "ext-1"}
    assert (details[2]["medusaSalesChannelIds"], details[2]["erpCompany"]) == (["sc_1"], "One Ltd")
    assert (details[3]["overlapSeconds"], details[3]["expiresInDays"]) == (60, 30)
    assert await gatehouse.mongo.audit(last=100, subject_id=ids["client"]) == [
        entry for entry in entries if entry.subject["kind"] == "client"
    ]
    assert await gatehouse.mongo.audit(last=2) == entries[-2:]


async def test_an_entry_tells_who_when_and_from_where(gatehouse: Gatehouse) -> None:
    keys = gatehouse.demo.keys
    every: list[tuple[dict[str, str], dict[str, str]]] = [
        ({}, {"kind": "SERVICE"}),
        ({"api_key": keys[SERVER_SIDE_PLATFORM]}, {"kind": "PLATFORM", "clientAppId": APP.id}),
        (
            {"bearer": gatehouse.demo.tokens["ADMIN"]},
            {"kind": "USER", "clientAppId": APP.id, "clientId": OURS.id, "userId": gatehouse.demo.users["ADMIN"]},
        ),
        (
            {"api_key": keys[SERVER_SIDE_PLATFORM], "client_api_key": keys[CLIENT]},
            {"kind": "CLIENT", "clientAppId": APP.id, "clientId": OURS.id},
        ),
    ]
    for shown, actor in every:
        ctx = await gatehouse.context(**shown)
        await clients.rotate_client_key(ctx, OURS.id, overlap_s=60, expires_in_days=None)
        [entry] = await gatehouse.mongo.audit(last=1)
        assert entry.actor == actor
        assert (entry.address, entry.request_id) == ("192.0.2.7", operation.current().request_id)
        assert datetime.now(UTC) - entry.at < timedelta(seconds=30)
        assert entry.error is None


async def test_an_operator_is_told_by_their_account(gatehouse: Gatehouse) -> None:
    service = await gatehouse.identify()
    ctx = Context(gatehouse.sources, service, operator="root")
    await clients.set_client_app_active(ctx, APP.id, False)
    [entry] = await gatehouse.mongo.audit(last=1)
    assert (entry.actor, entry.address) == ({"kind": "OPERATOR", "name": "root"}, None)


async def test_what_failed_is_told_to_have_failed(gatehouse: Gatehouse) -> None:
    platform = await gatehouse.context(api_key=gatehouse.demo.keys[PLATFORM])
    with pytest.raises(Conflict):
        await clients.register_client(platform, ClientToRegister("Copy", WORLD.clients[0].code))
    before, after = await gatehouse.mongo.audit(last=10)
    assert (before.event, before.error) == ("client.registered", None)
    assert (after.event, after.error) == ("client.registered.failed", "CONFLICT")
    assert (before.subject, before.detail, before.request_id) == (after.subject, after.detail, after.request_id)


async def test_an_error_that_nobody_expected_is_told_without_its_words(gatehouse: Gatehouse) -> None:
    with pytest.raises(RuntimeError):
        async with audited(await gatehouse.context(), AuditEvent.KEY_ROTATED, "client", OURS.id):
            raise RuntimeError("sk_secret")
    [_, after] = await gatehouse.mongo.audit(last=2)
    assert after.error == "INTERNAL"
    assert "sk_secret" not in await gatehouse.everything_kept()


async def test_nothing_is_done_that_cannot_be_recorded(gatehouse: Gatehouse) -> None:
    class Full(Mongo):
        async def record(self, entry: Any) -> None:
            raise BackendUnavailable(self.name, "the core store cannot be reached")

    full = Gatehouse(Full(gatehouse.mongo._client, gatehouse.mongo._db.name), gatehouse.demo, gatehouse.identification)
    for change in (
        clients.rotate_client_key(await full.context(), OURS.id, overlap_s=0, expires_in_days=None),
        clients.set_client_active(await full.context(), OURS.id, False),
        clients.set_client_app_active(await full.context(), APP.id, False),
        clients.set_backend_scope(await full.context(), OURS.id, BackendScopeRecord()),
        clients.register_client(await full.context(), ClientToRegister("N", "NEW", client_app_id=APP.id)),
    ):
        before = await gatehouse.everything_kept()
        with pytest.raises(BackendUnavailable):
            await change
        assert await gatehouse.everything_kept() == before


async def test_a_failure_that_cannot_be_recorded_stays_what_it_was(
    gatehouse: Gatehouse, caplog: pytest.LogCaptureFixture
) -> None:
    class Once(Mongo):
        async def record(self, entry: Any) -> None:
            if "error" in entry:
                raise BackendUnavailable(self.name, "the core store cannot be reached")
            await super().record(entry)

    once = Gatehouse(Once(gatehouse.mongo._client, gatehouse.mongo._db.name), gatehouse.demo, gatehouse.identification)
    with caplog.at_level(logging.ERROR, "omnistack.audit"), pytest.raises(NotFound, match="what really went wrong"):
        async with audited(await once.context(), AuditEvent.KEY_ROTATED, "client", OURS.id):
            raise NotFound("what really went wrong")
    assert [record.getMessage() for record in caplog.records] == ["the audit does not know of a failure"]


async def test_no_secret_is_in_it(gatehouse: Gatehouse) -> None:
    service = await gatehouse.context()
    app = await clients.register_client_app(service, name="New", scopes=[], is_server_side=True)
    client = await clients.register_client(service, ClientToRegister("One", "ONE", client_app_id=app.owner.id))
    rotated = await clients.rotate_client_key(service, client.owner.id, overlap_s=60, expires_in_days=30)
    issued = [app.api_key, client.api_key, rotated.api_key]
    known = [gatehouse.demo.service_key, gatehouse.demo.key_pepper, gatehouse.demo.jwt_secret]
    entries = repr(await gatehouse.mongo._db.audit.find({}).to_list(None))
    assert rotated.owner.id in entries
    for secret in (*issued, *known, *gatehouse.demo.keys.values(), *gatehouse.demo.tokens.values()):
        # Nor a part of it that says more than the hint.
        assert not [secret[i : i + 12] for i in range(len(secret) - 11) if secret[i : i + 12] in entries]


def test_entries_are_only_ever_added() -> None:
    offered = {name for name, member in vars(Audit).items() if inspect.isfunction(member)}
    assert offered == {"record", "audit"}
    source = inspect.getsource(Audit)
    for word in ("update", "replace", "delete", "_revise", "find_one_and"):
        assert word not in source
