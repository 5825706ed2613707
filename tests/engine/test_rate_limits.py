"""What an operation takes from its principal's bucket, and what a refusal tells."""

from __future__ import annotations

import pytest

from core.buckets import Limit, LocalBuckets
from core.principals import Principal, PrincipalKind
from core.settings import RateLimitSettings
from engine.rate_limits import OPERATION_COST, RateLimits
from tests import callers
from tests.clocks import ManualClock

ALICE = Principal(PrincipalKind.USER, frozenset(), client_app_id="a", client_id="c", user_id="alice")
BOB = Principal(PrincipalKind.USER, frozenset(), client_app_id="a", client_id="c", user_id="bob")
LIMITS = {PrincipalKind.USER: Limit(10, 25)}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def test_an_operation_takes_its_cost_from_its_principal_alone(clock: ManualClock) -> None:
    limits = RateLimits(LocalBuckets(clock=clock), LIMITS)
    for principal, is_refused in ((ALICE, False), (ALICE, False), (ALICE, True), (BOB, False)):
        allowance = await limits.take(principal, "{ viewer { kind } }")
        assert allowance is not None
        assert (allowance.refusal is not None) is is_refused
    clock.now += 0.5
    allowance = await limits.take(ALICE, None)
    assert allowance is not None
    assert allowance.refusal is None


async def test_one_user_is_one_caller_however_their_credentials_read(clock: ManualClock) -> None:
    limits = RateLimits(LocalBuckets(clock=clock), {PrincipalKind.USER: Limit(1, OPERATION_COST)})
    narrowed = Principal(PrincipalKind.USER, frozenset({"core:read"}), "a", "c", "alice")
    first, second = await limits.take(ALICE, None), await limits.take(narrowed, None)
    assert first is not None
    assert second is not None
    assert (first.refusal is None, second.refusal is None) == (True, False)


async def test_what_is_left_is_told_in_headers_rounded_to_nobodys_favour(clock: ManualClock) -> None:
    limits = RateLimits(LocalBuckets(clock=clock), LIMITS)
    await limits.take(ALICE, None)
    clock.now += 0.25
    allowance = await limits.take(ALICE, None)
    assert allowance is not None
    assert allowance.headers == {"RateLimit-Limit": "25", "RateLimit-Remaining": "7", "RateLimit-Reset": "2"}


async def test_a_refusal_names_the_limit_and_when_to_come_back(clock: ManualClock) -> None:
    limits = RateLimits(LocalBuckets(clock=clock), LIMITS, cost=lambda document: float(len(document or "")))
    await limits.take(ALICE, "x" * 20)
    allowance = await limits.take(ALICE, "x" * 10)
    assert allowance is not None
    assert allowance.refusal is not None
    assert allowance.refusal.extensions == {
        "code": "RATE_LIMITED",
        "retryable": True,
        "retryAfterMs": 500,
        "limit": {"name": "costPerSecond", "value": 10, "request": 10},
    }


async def test_who_has_no_limit_is_not_counted(clock: ManualClock) -> None:
    buckets = LocalBuckets(clock=clock)
    for limits in ({}, {PrincipalKind.USER: Limit(0, 0)}):
        assert await RateLimits(buckets, limits).take(ALICE, None) is None
    assert not buckets._full_at


@pytest.mark.parametrize(
    "principal",
    [callers.SERVICE, callers.client(), callers.platform(server_side=True), callers.platform(server_side=False)],
)
async def test_by_default_only_users_meet_a_limit_before_the_machine_does(
    principal: Principal, clock: ManualClock
) -> None:
    limits = RateLimits(LocalBuckets(clock=clock), RateLimitSettings().by_kind)
    for _ in range(20_000):
        allowance = await limits.take(principal, None)
        assert allowance is not None
        assert allowance.refusal is None


async def test_by_default_a_user_may_ask_a_thousand_times_at_once(clock: ManualClock) -> None:
    limits = RateLimits(LocalBuckets(clock=clock), RateLimitSettings().by_kind)
    taken = [await limits.take(ALICE, None) for _ in range(1_001)]
    refused = [each for each in taken if each is not None and each.refusal is not None]
    assert len(refused) == 1
    assert refused[0] is taken[-1]
