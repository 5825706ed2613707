"""Keys over their life: issued, replaced with an overlap, ended; and what a crash or a race leaves of that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.auth import hash_key, is_key
from core.errors import BackendUnavailable, BadUserInput, Conflict, GatewayError
from datasources.mongo import ClientAppRecord, ClientRecord, KeyMark, KeyRecord, Mongo
from resolvers import clients, keys
from resolvers.clients import ClientToRegister
from resolvers.keys import Issued
from sandbox.world import World
from tests.conftest import PLATFORM, SERVER_SIDE_PLATFORM
from tests.gatehouse import Gatehouse

WORLD = World(datetime.now(UTC))
APP, CLIENT = WORLD.apps[0], WORLD.clients[0]
DAY_S = 24 * 3600


async def rotate(gatehouse: Gatehouse, *, overlap_s: int = 0, days: int | None = None) -> Issued[ClientRecord]:
    """The key of the first client, by the service."""
    ctx = await gatehouse.context()
    return await clients.rotate_client_key(ctx, CLIENT.id, overlap_s=overlap_s, expires_in_days=days)


async def works(gatehouse: Gatehouse, client_key: str) -> bool:
    return await gatehouse.admits(api_key=gatehouse.demo.keys[PLATFORM], client_api_key=client_key)


async def live(gatehouse: Gatehouse, owner_id: str = CLIENT.id) -> list[KeyRecord]:
    """The keys that have no end."""
    return [key for key in await gatehouse.mongo.keys_of(owner_id) if key.ends_at is None]


def nearly(moment: datetime | None, ahead_s: float) -> bool:
    return moment is not None and abs((moment - datetime.now(UTC)).total_seconds() - ahead_s) < 30


# -- rotation ----------------------------------------------------------------------------------------------------------


async def test_a_new_key_takes_the_place_of_the_old_one_at_once(gatehouse: Gatehouse) -> None:
    old = gatehouse.demo.keys[CLIENT.code]
    assert await works(gatehouse, old)
    issued = await rotate(gatehouse)
    assert is_key(issued.api_key)
    assert not await works(gatehouse, old)
    assert await works(gatehouse, issued.api_key)
    assert (issued.owner.id, issued.owner.key_hint, issued.owner.key_expires_at) == (
        CLIENT.id,
        issued.api_key[-4:],
        None,
    )
    assert issued.api_key not in repr(issued)


async def test_with_an_overlap_both_keys_work_and_the_old_one_has_an_end(gatehouse: Gatehouse) -> None:
    old = gatehouse.demo.keys[CLIENT.code]
    issued = await rotate(gatehouse, overlap_s=600)
    assert await works(gatehouse, old)
    assert await works(gatehouse, issued.api_key)
    kept = await gatehouse.mongo.key(hash_key(gatehouse.demo.key_pepper, old))
    assert kept is not None
    assert nearly(kept.ends_at, 600)


async def test_a_later_overlap_prolongs_no_key_and_a_shorter_one_shortens_it(gatehouse: Gatehouse) -> None:
    first = hash_key(gatehouse.demo.key_pepper, gatehouse.demo.keys[CLIENT.code])
    ends = []
    for overlap_s in (600, 30 * DAY_S, 60):
        await rotate(gatehouse, overlap_s=overlap_s)
        kept = await gatehouse.mongo.key(first)
        assert kept is not None
        ends.append(kept.ends_at)
    assert nearly(ends[0], 600)
    assert ends[1] == ends[0]
    assert nearly(ends[2], 60)


async def test_a_key_may_have_an_end_of_its_own_which_no_overlap_moves(gatehouse: Gatehouse) -> None:
    issued = await rotate(gatehouse, days=3)
    assert nearly(issued.owner.key_expires_at, 3 * DAY_S)
    hashed = hash_key(gatehouse.demo.key_pepper, issued.api_key)
    before = await gatehouse.mongo.key(hashed)
    await rotate(gatehouse, overlap_s=30 * DAY_S)
    after = await gatehouse.mongo.key(hashed)
    assert before is not None
    assert after is not None
    assert after.ends_at == before.ends_at == issued.owner.key_expires_at
    client = await gatehouse.mongo.client(CLIENT.id)
    assert client is not None
    assert client.key_expires_at is None


@pytest.mark.parametrize(
    ("overlap_s", "days"), [(-1, None), (30 * DAY_S + 1, None), (0, 0), (0, -1), (0, 3651), (2**31 - 1, 2**31 - 1)]
)
async def test_bounds_are_told_and_nothing_is_done(gatehouse: Gatehouse, overlap_s: int, days: int | None) -> None:
    with pytest.raises(BadUserInput, match=r"`(overlapSeconds|expiresInDays)` is"):
        await rotate(gatehouse, overlap_s=overlap_s, days=days)
    assert await works(gatehouse, gatehouse.demo.keys[CLIENT.code])
    assert await gatehouse.mongo.audit(last=5) == []


async def test_the_bounds_themselves_are_allowed(gatehouse: Gatehouse) -> None:
    issued = await rotate(gatehouse, overlap_s=30 * DAY_S, days=3650)
    assert nearly(issued.owner.key_expires_at, 3650 * DAY_S)
    assert await works(gatehouse, gatehouse.demo.keys[CLIENT.code])


async def test_other_owners_keys_are_left_alone(gatehouse: Gatehouse) -> None:
    await rotate(gatehouse)
    for name, key in gatehouse.demo.keys.items():
        kept = await gatehouse.mongo.key(hash_key(gatehouse.demo.key_pepper, key))
        assert kept is not None
        assert (kept.ends_at is None) is (name != CLIENT.code)


async def test_keys_are_kept_as_hashes_alone(gatehouse: Gatehouse) -> None:
    service = await gatehouse.context()
    app = await clients.register_client_app(service, name="New", scopes=["core:read"], is_server_side=False)
    client = await clients.register_client(service, ClientToRegister("One", "ONE", client_app_id=app.owner.id))
    rotated = [await rotate(gatehouse), await rotate(gatehouse, overlap_s=5)]
    secrets = {app.api_key, client.api_key, *(each.api_key for each in rotated)}
    assert len(secrets) == 4
    kept = await gatehouse.everything_kept()
    for key in secrets:
        assert hash_key(gatehouse.demo.key_pepper, key) in kept
        assert key not in kept
        assert key.removeprefix("sk_") not in kept
    assert gatehouse.demo.key_pepper not in kept


# -- at once -----------------------------------------------------------------------------------------------------------


async def test_of_rotations_at_once_one_key_stays(gatehouse: Gatehouse) -> None:
    for _ in range(5):
        ctx = await gatehouse.context()
        client = await gatehouse.mongo.client(CLIENT.id)
        assert client is not None
        issued = await asyncio.gather(*(keys.rotate(ctx, client, overlap_s=0, expires_in_days=None) for _ in range(6)))
        usable = [each.api_key for each in issued if await works(gatehouse, each.api_key)]
        [only] = await live(gatehouse)
        assert [hash_key(gatehouse.demo.key_pepper, key) for key in usable] == [only.hash]
        client = await gatehouse.mongo.client(CLIENT.id)
        assert client is not None
        assert client.key_hint == usable[0][-4:] == only.hint


async def test_of_rotations_at_once_the_others_work_for_no_longer_than_asked(gatehouse: Gatehouse) -> None:
    ctx = await gatehouse.context()
    client = await gatehouse.mongo.client(CLIENT.id)
    assert client is not None
    issued = await asyncio.gather(*(keys.rotate(ctx, client, overlap_s=60, expires_in_days=None) for _ in range(6)))
    assert [await works(gatehouse, each.api_key) for each in issued] == [True] * 6
    assert len(await live(gatehouse)) == 1
    ended = [key for key in await gatehouse.mongo.keys_of(CLIENT.id) if key.ends_at is not None]
    assert len(ended) == 6
    assert all(key.ends_at <= datetime.now(UTC) + timedelta(seconds=60) for key in ended if key.ends_at)


async def test_a_rotation_beside_a_deactivation_leaves_no_key(gatehouse: Gatehouse) -> None:
    for _ in range(10):
        ctx = await gatehouse.context()
        client = await clients.set_client_active(ctx, CLIENT.id, True)
        results = await asyncio.gather(
            keys.rotate(ctx, client, overlap_s=60, expires_in_days=None),
            keys.set_active(ctx, client, False),
            return_exceptions=True,
        )
        assert all(not isinstance(each, BaseException) or isinstance(each, Conflict) for each in results)
        now = datetime.now(UTC)
        assert [key for key in await gatehouse.mongo.keys_of(CLIENT.id) if not key.ends_at or key.ends_at > now] == []


# -- cut off -----------------------------------------------------------------------------------------------------------


class Crash(Exception):
    """The process ends here."""


class Crashing(Mongo):
    """A store whose process ends before, or right after, one of its writes."""

    step = ""
    is_after = False

    async def _at(self, step: str, write: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        if step == self.step and not self.is_after:
            raise Crash(step)
        done = await write(*arguments)
        if step == self.step:
            raise Crash(step)
        return done

    async def add_key(self, key: KeyRecord) -> None:
        await self._at("add_key", super().add_key, key)

    async def end_key(self, hash: str, at: datetime) -> None:
        await self._at("end_key", super().end_key, hash, at)

    async def mark_key(self, kind: type, id: str, mark: KeyMark) -> Any:
        return await self._at("mark_key", super().mark_key, kind, id, mark)

    async def set_active(self, kind: type, id: str, is_active: bool) -> Any:
        return await self._at("set_active", super().set_active, kind, id, is_active)

    async def create_client(self, new: Any) -> ClientRecord:
        made: ClientRecord = await self._at("create_client", super().create_client, new)
        return made


@pytest.fixture
def crashing(gatehouse: Gatehouse) -> Gatehouse:
    store = Crashing(gatehouse.mongo._client, gatehouse.mongo._db.name)
    return Gatehouse(store, gatehouse.demo, gatehouse.identification)


@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize("step", ["add_key", "end_key", "mark_key"])
async def test_a_rotation_that_was_cut_off_is_made_good_by_the_next(
    gatehouse: Gatehouse, crashing: Gatehouse, step: str, is_after: bool
) -> None:
    store = crashing.mongo
    assert isinstance(store, Crashing)
    store.step, store.is_after = step, is_after
    with pytest.raises(Crash):
        await rotate(crashing)
    if step == "add_key":
        assert await works(crashing, crashing.demo.keys[CLIENT.code])
    store.step = ""
    issued = await rotate(crashing)
    assert await works(gatehouse, issued.api_key)
    assert not await works(gatehouse, gatehouse.demo.keys[CLIENT.code])
    [only] = await live(gatehouse)
    assert only.hash == hash_key(gatehouse.demo.key_pepper, issued.api_key)


@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize("step", ["set_active", "end_key"])
async def test_a_deactivation_that_was_cut_off_brings_no_key_back(
    gatehouse: Gatehouse, crashing: Gatehouse, step: str, is_after: bool
) -> None:
    store = crashing.mongo
    assert isinstance(store, Crashing)
    store.step, store.is_after = step, is_after
    old = gatehouse.demo.keys[CLIENT.code]
    with pytest.raises(Crash):
        await clients.set_client_active(await crashing.context(), CLIENT.id, False)
    was_done = (step, is_after) != ("set_active", False)
    assert await works(crashing, old) is not was_done
    store.step = ""
    if not was_done:
        await clients.set_client_active(await crashing.context(), CLIENT.id, False)
    activated = await clients.set_client_active(await crashing.context(), CLIENT.id, True)
    assert (activated.is_active, activated.key_hint) == (True, None)
    assert not await works(gatehouse, old)
    assert await live(gatehouse) == []


@pytest.mark.parametrize("step", ["add_key", "create_client"])
async def test_a_registration_that_was_cut_off_can_be_repeated(crashing: Gatehouse, step: str) -> None:
    store, wanted = crashing.mongo, ClientToRegister("New", "NEW", "ext", client_app_id=APP.id)
    assert isinstance(store, Crashing)
    store.step = step
    with pytest.raises(Crash):
        await clients.register_client(await crashing.context(), wanted)
    store.step = ""
    issued = await clients.register_client(await crashing.context(), wanted)
    assert await works(crashing, issued.api_key)


# -- the end -----------------------------------------------------------------------------------------------------------


async def test_a_client_that_is_deactivated_is_out_at_once(gatehouse: Gatehouse) -> None:
    old = gatehouse.demo.keys[CLIENT.code]
    assert await works(gatehouse, old)
    changed = await clients.set_client_active(await gatehouse.context(), CLIENT.id, False)
    assert (changed.is_active, changed.key_hint, changed.key_expires_at) == (False, None, None)
    assert not await works(gatehouse, old)
    with pytest.raises(BadUserInput, match="activate it first"):
        await rotate(gatehouse)
    activated = await clients.set_client_active(await gatehouse.context(), CLIENT.id, True)
    assert (activated.is_active, activated.key_hint) == (True, None)
    assert not await works(gatehouse, old)
    issued = await rotate(gatehouse, overlap_s=600)
    assert await works(gatehouse, issued.api_key)
    assert not await works(gatehouse, old)


async def test_a_platform_that_is_deactivated_is_out_with_its_clients(gatehouse: Gatehouse) -> None:
    service, app_key = await gatehouse.context(), gatehouse.demo.keys[PLATFORM]
    await clients.set_client_app_active(service, APP.id, False)
    assert not await gatehouse.admits(api_key=app_key)
    assert not await works(gatehouse, gatehouse.demo.keys[CLIENT.code])
    assert await gatehouse.admits(api_key=gatehouse.demo.keys[SERVER_SIDE_PLATFORM])
    activated = await clients.set_client_app_active(await gatehouse.context(), APP.id, True)
    assert (activated.is_active, activated.key_hint) == (True, None)
    assert not await gatehouse.admits(api_key=app_key)
    issued: Issued[ClientAppRecord] = await clients.rotate_client_app_key(
        await gatehouse.context(), APP.id, overlap_s=0, expires_in_days=None
    )
    # The client's own key was not the platform's, and is good again beside its new one.
    assert await gatehouse.admits(api_key=issued.api_key, client_api_key=gatehouse.demo.keys[CLIENT.code])


async def test_activating_what_is_active_changes_nothing(gatehouse: Gatehouse) -> None:
    before = await gatehouse.mongo.client(CLIENT.id)
    assert await clients.set_client_active(await gatehouse.context(), CLIENT.id, True) == before
    assert await works(gatehouse, gatehouse.demo.keys[CLIENT.code])
    assert await gatehouse.mongo.audit(last=5) == []


async def test_a_key_is_good_for_nothing_from_the_call_on_that_ended_it(gatehouse: Gatehouse) -> None:
    for _ in range(10):
        issued = await rotate(gatehouse)
        shown = {"api_key": gatehouse.demo.keys[PLATFORM], "client_api_key": issued.api_key}
        assert await gatehouse.admits(**shown)  # now it is remembered
        await rotate(gatehouse)
        assert not await gatehouse.admits(**shown)


async def test_a_store_that_is_down_ends_a_rotation_without_a_key(crashing: Gatehouse) -> None:
    class Down(Crashing):
        async def end_keys(self, owner_id: str, at: datetime, *, below: int | None = None) -> None:
            raise BackendUnavailable(self.name, "the core store cannot be reached")

    gatehouse = Gatehouse(Down(crashing.mongo._client, crashing.mongo._db.name), crashing.demo, crashing.identification)
    with pytest.raises(GatewayError):
        await rotate(gatehouse)
    assert await works(gatehouse, gatehouse.demo.keys[CLIENT.code])
    assert [entry.event for entry in await gatehouse.mongo.audit(last=5)] == ["key.rotated", "key.rotated.failed"]
