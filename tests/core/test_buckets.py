"""Token buckets in memory."""

from __future__ import annotations

import pytest

from core.buckets import Limit, LocalBuckets
from tests.clocks import ManualClock

LIMIT = Limit(rate_per_s=10, burst=50)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


async def test_a_burst_may_be_taken_at_once_and_comes_back_at_the_rate(clock: ManualClock) -> None:
    buckets = LocalBuckets(clock=clock)
    assert [(await buckets.take("a", LIMIT, 20)).is_allowed for _ in range(3)] == [True, True, False]
    clock.now += 0.9
    assert not (await buckets.take("a", LIMIT, 20)).is_allowed
    clock.now += 0.1
    assert (await buckets.take("a", LIMIT, 20)).is_allowed
    clock.now += 100
    assert (await buckets.take("a", LIMIT, 50)).is_allowed
    assert not (await buckets.take("a", LIMIT, 1)).is_allowed


async def test_what_is_left_and_when_there_will_be_enough_is_told(clock: ManualClock) -> None:
    buckets = LocalBuckets(clock=clock)
    taken = await buckets.take("a", LIMIT, 45)
    assert taken == pytest.approx((True, 5, 0, 4.5))
    refused = await buckets.take("a", LIMIT, 15)
    assert refused == pytest.approx((False, 5, 1.0, 4.5), abs=1e-3)
    clock.now += refused.retry_after_s
    assert (await buckets.take("a", LIMIT, 15)).is_allowed


async def test_keys_do_not_share(clock: ManualClock) -> None:
    buckets = LocalBuckets(clock=clock)
    assert (await buckets.take("a", LIMIT, 50)).is_allowed
    assert (await buckets.take("b", LIMIT, 50)).is_allowed


async def test_what_costs_more_than_a_bucket_takes_a_whole_one(clock: ManualClock) -> None:
    """Otherwise it could never run."""
    buckets = LocalBuckets(clock=clock)
    assert (await buckets.take("a", LIMIT, 1_000)).remaining == 0
    clock.now += 4.9
    assert not (await buckets.take("a", LIMIT, 1_000)).is_allowed
    clock.now += 0.1
    assert (await buckets.take("a", LIMIT, 1_000)).is_allowed


@pytest.mark.parametrize("limit", [Limit(0.1, 3), Limit(2_000, 10_000), Limit(5_000_000, 10_000_000)])
async def test_rounding_gives_and_takes_no_token(limit: Limit, clock: ManualClock) -> None:
    buckets = LocalBuckets(clock=clock)
    clock.now = 12_345_678.9
    tenth = limit.burst / 10
    assert all([(await buckets.take("a", limit, tenth)).is_allowed for _ in range(10)])
    assert not (await buckets.take("a", limit, tenth)).is_allowed


async def test_memory_is_bounded_and_the_longest_untouched_is_forgotten(clock: ManualClock) -> None:
    buckets = LocalBuckets(size=2, clock=clock)
    for key in ("a", "b", "a", "c"):
        await buckets.take(key, LIMIT, 25)
    assert list(buckets._full_at) == ["a", "c"]
    assert (await buckets.take("a", LIMIT, 0)).remaining == pytest.approx(0)


async def test_a_full_bucket_is_not_kept(clock: ManualClock) -> None:
    buckets = LocalBuckets(clock=clock)
    await buckets.take("a", LIMIT, 10)
    clock.now += 1
    await buckets.take("a", LIMIT, 0)
    assert not buckets._full_at
