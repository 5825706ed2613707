"""Callers who are remembered for a moment: how often they are looked up, for how long, and when they are forgotten."""

from __future__ import annotations

import asyncio
import gc
import time
from datetime import UTC, datetime, timedelta

import pytest

from core.auth import Credentials, hash_key, new_key
from core.errors import BackendUnavailable, Unauthenticated
from core.principals import Principal, PrincipalKind
from datasources.mongo import KeyRecord, Mongo
from resolvers.identity_cache import LIFE_S, IdentityCache, Recognised
from rest.sockets import LOOK_EVERY_S
from sandbox.world import World
from tests.clocks import ManualClock
from tests.conftest import CLIENT, PLATFORM, SERVER_SIDE_PLATFORM, Commands
from tests.gatehouse import Gatehouse

WORLD = World(datetime.now(UTC))
SOMEBODY = Credentials(api_key="sk_a")


class Lookups:
    """Recognises everybody but those who show `wrong`; counts, and can be held up."""

    def __init__(self) -> None:
        self.shown: list[Credentials] = []
        self.may_go = asyncio.Event()
        self.may_go.set()
        self.ends_at = float("inf")
        self.failure: Exception | None = None

    async def __call__(self, shown: Credentials) -> Recognised:
        self.shown.append(shown)
        nth = str(len(self.shown))
        await self.may_go.wait()
        if self.failure is not None:
            raise self.failure
        if shown.api_key == "wrong":
            raise Unauthenticated("the credentials are not valid")
        return Recognised(Principal(PrincipalKind.CLIENT, frozenset(), client_id=nth), self.ends_at)


@pytest.fixture
def lookups() -> Lookups:
    return Lookups()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def cache(lookups: Lookups, clock: ManualClock) -> IdentityCache:
    return IdentityCache(lookups, size=3, clock=clock, now=clock)


# -- how long ----------------------------------------------------------------------------------------------------------


async def test_a_caller_is_looked_up_again_when_their_time_is_over(
    cache: IdentityCache, lookups: Lookups, clock: ManualClock
) -> None:
    first = await cache.identify(SOMEBODY)
    clock.now += LIFE_S - 0.001
    assert await cache.identify(SOMEBODY) is first
    clock.now += 0.001
    assert await cache.identify(SOMEBODY) != first
    assert len(lookups.shown) == 2


async def test_without_a_life_everybody_is_looked_up_anew(lookups: Lookups, clock: ManualClock) -> None:
    cache = IdentityCache(lookups, life_s=0, clock=clock, now=clock)
    for _ in range(3):
        await cache.identify(SOMEBODY)
    assert len(lookups.shown) == 3


def test_a_socket_learns_of_a_revocation_within_five_seconds() -> None:
    assert LIFE_S + LOOK_EVERY_S < 5


async def test_their_time_counts_from_before_the_first_question(
    cache: IdentityCache, lookups: Lookups, clock: ManualClock
) -> None:
    lookups.may_go.clear()
    waiting = asyncio.create_task(cache.identify(SOMEBODY))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(lookups.shown) == 1
    clock.now += LIFE_S
    lookups.may_go.set()
    await waiting
    await cache.identify(SOMEBODY)
    assert len(lookups.shown) == 2


async def test_credentials_that_end_sooner_end_exactly(
    cache: IdentityCache, lookups: Lookups, clock: ManualClock
) -> None:
    lookups.ends_at = clock.now + 1.0
    await cache.identify(SOMEBODY)
    clock.now += 0.999
    await cache.identify(SOMEBODY)
    assert len(lookups.shown) == 1
    clock.now += 0.001
    lookups.failure = Unauthenticated("the credentials are not valid")
    with pytest.raises(Unauthenticated):
        await cache.identify(SOMEBODY)


# -- who ---------------------------------------------------------------------------------------------------------------


async def test_callers_are_told_apart_by_all_that_they_show(cache: IdentityCache, lookups: Lookups) -> None:
    every = [
        Credentials(api_key="a", client_api_key="b"),
        Credentials(api_key="a", bearer="b"),
        Credentials(api_key="ab"),
    ]
    found = [await cache.identify(shown) for shown in every]
    assert len({principal.client_id for principal in found}) == 3
    assert [await cache.identify(shown) for shown in every] == found
    assert lookups.shown == every


async def test_refusals_and_failures_are_not_remembered(cache: IdentityCache, lookups: Lookups) -> None:
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            await cache.identify(Credentials(api_key="wrong"))
    assert len(lookups.shown) == 2
    lookups.failure = BackendUnavailable(Mongo.name, "the core store cannot be reached")
    with pytest.raises(BackendUnavailable):
        await cache.identify(SOMEBODY)
    lookups.failure = None
    assert (await cache.identify(SOMEBODY)).kind is PrincipalKind.CLIENT


async def test_only_so_many_are_remembered_and_those_who_came_last(cache: IdentityCache, lookups: Lookups) -> None:
    callers = [Credentials(api_key=f"sk_{n}") for n in range(4)]
    for shown in (*callers[:3], callers[0], callers[3]):
        await cache.identify(shown)
    assert len(lookups.shown) == 4
    await cache.identify(callers[0])
    assert len(lookups.shown) == 4
    await cache.identify(callers[1])
    assert len(lookups.shown) == 5


async def test_no_secret_is_kept(cache: IdentityCache) -> None:
    key = new_key()
    await cache.identify(Credentials(api_key=key, client_api_key=key, bearer=key))
    assert key not in repr(vars(cache))
    reachable = gc.get_referents(cache._kept, *cache._kept.values(), *cache._kept)
    assert key not in repr(reachable)


# -- at once -----------------------------------------------------------------------------------------------------------


async def test_a_burst_is_looked_up_once(cache: IdentityCache, lookups: Lookups) -> None:
    lookups.may_go.clear()
    burst = [asyncio.create_task(cache.identify(SOMEBODY)) for _ in range(50)]
    await asyncio.sleep(0)
    lookups.may_go.set()
    assert len({id(principal) for principal in await asyncio.gather(*burst)}) == 1
    assert len(lookups.shown) == 1


async def test_a_burst_of_wrong_credentials_is_looked_up_once_and_refused(
    cache: IdentityCache, lookups: Lookups
) -> None:
    lookups.may_go.clear()
    burst = [asyncio.create_task(cache.identify(Credentials(api_key="wrong"))) for _ in range(50)]
    await asyncio.sleep(0)
    lookups.may_go.set()
    results = await asyncio.gather(*burst, return_exceptions=True)
    assert {type(result) for result in results} == {Unauthenticated}
    assert len(lookups.shown) == 1


async def test_one_who_leaves_does_not_take_the_answer_from_the_others(cache: IdentityCache, lookups: Lookups) -> None:
    lookups.may_go.clear()
    leaver, stayer = [asyncio.create_task(cache.identify(SOMEBODY)) for _ in range(2)]
    await asyncio.sleep(0)
    leaver.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaver
    lookups.may_go.set()
    assert (await stayer).kind is PrincipalKind.CLIENT
    assert cache._under_way == {}


async def test_a_failure_that_everybody_left_is_nobodys(cache: IdentityCache, lookups: Lookups) -> None:
    lookups.may_go.clear()
    lookups.failure = RuntimeError("unexpected")
    leaver = asyncio.create_task(cache.identify(SOMEBODY))
    await asyncio.sleep(0)
    [look_up] = cache._under_way.values()
    leaver.cancel()
    lookups.may_go.set()
    await asyncio.wait({leaver, look_up})
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    del look_up
    gc.collect()
    asyncio.get_running_loop().set_exception_handler(None)
    assert reported == []


# -- changes -----------------------------------------------------------------------------------------------------------


async def test_a_change_is_seen_by_whoever_asks_after_it(cache: IdentityCache, lookups: Lookups) -> None:
    await cache.identify(SOMEBODY)
    cache.forget()
    await cache.identify(SOMEBODY)
    assert len(lookups.shown) == 2


async def test_what_was_being_looked_up_while_something_changed_is_not_kept(
    cache: IdentityCache, lookups: Lookups
) -> None:
    lookups.may_go.clear()
    before = asyncio.create_task(cache.identify(SOMEBODY))
    await asyncio.sleep(0)
    cache.forget()
    after = asyncio.create_task(cache.identify(SOMEBODY))
    await asyncio.sleep(0)
    lookups.may_go.set()
    old, new = await asyncio.gather(before, after)
    assert len(lookups.shown) == 2
    assert old != new
    assert await cache.identify(SOMEBODY) == new


# -- in the gateway ----------------------------------------------------------------------------------------------------


async def test_a_hundred_requests_cost_what_one_costs(gatehouse: Gatehouse, commands: Commands) -> None:
    keys = gatehouse.demo.keys
    app = {"api_key": keys[SERVER_SIDE_PLATFORM]}
    every: list[tuple[dict[str, str], list[str]]] = [
        ({"api_key": gatehouse.demo.service_key}, []),
        ({"api_key": keys[PLATFORM]}, ["keys", "client_apps"]),
        (app, ["keys", "client_apps", "clients"]),
        (app | {"client_api_key": keys[CLIENT]}, ["keys", "client_apps", "keys", "clients"]),
        ({"bearer": gatehouse.demo.tokens["STAFF"]}, ["users", "clients", "client_apps"]),
        (app | {"bearer": gatehouse.demo.tokens["STAFF"]}, ["keys", "client_apps", "users", "clients"]),
    ]
    for shown, asked in every:
        commands.forget()
        started = time.monotonic()
        together = await asyncio.gather(*(gatehouse.identify(**shown) for _ in range(50)))
        one_by_one = [await gatehouse.identify(**shown) for _ in range(50)]
        assert time.monotonic() - started < LIFE_S, "too slow to say anything about what is remembered"
        assert len({id(principal) for principal in (*together, *one_by_one)}) == 1
        assert commands.sent == [("find", collection) for collection in asked]


@pytest.mark.parametrize(
    ("ends_s", "ends_after_s"),
    [({"expiresAt": 90}, 90), ({"revokedAt": 60}, 60), ({"expiresAt": 90, "revokedAt": 60}, 60)],
)
async def test_a_key_with_an_end_is_remembered_until_then(
    gatehouse: Gatehouse, ends_s: dict[str, int], ends_after_s: int
) -> None:
    key, now = new_key(), datetime.now(UTC).replace(microsecond=0)
    row = {"_id": hash_key(gatehouse.demo.key_pepper, key), "ownerKind": "client", "ownerId": WORLD.clients[0].id}
    ends = {name: now + timedelta(seconds=after_s) for name, after_s in ends_s.items()}
    await gatehouse.mongo.insert({"keys": [row | ends]})
    shown = Credentials(api_key=gatehouse.demo.keys[PLATFORM], client_api_key=key)
    recognised = await gatehouse.identification.recognise(gatehouse.mongo, shown)
    assert recognised.ends_at == now.timestamp() + ends_after_s


def test_a_key_ends_by_whatever_is_first() -> None:
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)

    def end(**ends: datetime) -> datetime | None:
        return KeyRecord(
            hash="0", owner_kind="client", owner_id="0", expires_at=ends.get("expires"), revoked_at=ends.get("revoked")
        ).ends_at

    assert end() is None
    assert end(expires=late) == end(revoked=late) == late
    assert end(expires=late, revoked=early) == end(expires=early, revoked=late) == early
