"""Claims of idempotency keys in the core store."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from core.errors import IdempotencyConflict
from core.idempotency import ClaimState, effective_key
from datasources.mongo import ClaimRecord, Mongo

KEY = effective_key("SERVICE:::", "", "", "k")
ANOTHER = effective_key("SERVICE:::", "", "", "l")


async def claim(mongo: Mongo, attempt: str, *, digest: str = "d", lease_s: float = 60, key: str = KEY) -> ClaimRecord:
    return await mongo.claim_request(key, digest, attempt, lease_s=lease_s)


async def test_the_first_has_the_claim_and_the_second_sees_it(empty_mongo: Mongo) -> None:
    first, second = await claim(empty_mongo, "1"), await claim(empty_mongo, "2")
    assert (first.attempt, first.state, first.notes) == ("1", ClaimState.RUNNING, {})
    assert (second.attempt, second.state, second.digest, second.answer) == ("1", ClaimState.RUNNING, "d", None)
    assert (await claim(empty_mongo, "3", key=ANOTHER)).attempt == "3"


async def test_of_many_at_once_one_has_the_claim(empty_mongo: Mongo) -> None:
    seen = await asyncio.gather(*(claim(empty_mongo, str(n)) for n in range(20)))
    assert len({record.attempt for record in seen}) == 1


async def test_the_answer_is_there_for_whoever_asks_next(empty_mongo: Mongo) -> None:
    await claim(empty_mongo, "1")
    await empty_mongo.keep_answer(KEY, "1", '{"data": {"é": 1.0}}')
    again = await claim(empty_mongo, "2")
    assert (again.attempt, again.state, again.answer) == ("1", ClaimState.DONE, '{"data": {"é": 1.0}}')


async def test_an_answer_that_is_not_kept_leaves_word_of_whose_secret_it_held(empty_mongo: Mongo) -> None:
    await claim(empty_mongo, "1")
    await empty_mongo.withhold_answer(KEY, "1", "Client c1")
    again = await claim(empty_mongo, "2")
    assert (again.attempt, again.state, again.answer, again.secrets_of) == ("1", ClaimState.WITHHELD, None, "Client c1")


async def test_what_was_released_is_claimed_again_with_its_notes_by_the_same_request_only(empty_mongo: Mongo) -> None:
    await claim(empty_mongo, "1")
    await empty_mongo.note_request(KEY, "1", "createOrder/cart", "cart_1")
    await empty_mongo.note_request(KEY, "1", "second/cart", "cart_2")
    await empty_mongo.release_request(KEY, "1")
    assert (await claim(empty_mongo, "2", digest="other")).attempt == "1"
    again = await claim(empty_mongo, "3")
    assert (again.attempt, again.state) == ("3", ClaimState.RUNNING)
    assert again.notes == {"createOrder/cart": "cart_1", "second/cart": "cart_2"}


async def test_what_was_forgotten_is_free_for_any_request(empty_mongo: Mongo) -> None:
    await claim(empty_mongo, "1")
    await empty_mongo.forget_request(KEY, "another")
    assert (await claim(empty_mongo, "2", digest="other")).attempt == "1"
    await empty_mongo.forget_request(KEY, "1")
    assert (await claim(empty_mongo, "3", digest="other")).attempt == "3"


async def test_a_lease_that_has_ended_is_taken_over_by_one(empty_mongo: Mongo) -> None:
    await claim(empty_mongo, "dead", lease_s=-1)
    await empty_mongo.note_request(KEY, "dead", "createCart/cart", "cart_1")
    assert (await claim(empty_mongo, "0", digest="other")).attempt == "dead"
    seen = await asyncio.gather(*(claim(empty_mongo, str(n)) for n in range(1, 11)))
    assert len({record.attempt for record in seen} - {"dead"}) == 1
    assert (await claim(empty_mongo, "late")).notes == {"createCart/cart": "cart_1"}


async def test_who_was_taken_over_changes_nothing_any_more(empty_mongo: Mongo) -> None:
    await claim(empty_mongo, "dead", lease_s=-1)
    await claim(empty_mongo, "heir")
    await empty_mongo.keep_answer(KEY, "dead", "{}")
    await empty_mongo.withhold_answer(KEY, "dead", None)
    await empty_mongo.release_request(KEY, "dead")
    await empty_mongo.forget_request(KEY, "dead")
    with pytest.raises(IdempotencyConflict):
        await empty_mongo.note_request(KEY, "dead", "createCart/cart", "cart_1")
    there = await claim(empty_mongo, "third")
    assert (there.attempt, there.state, there.notes, there.answer) == ("heir", ClaimState.RUNNING, {}, None)


async def test_who_was_forgotten_can_leave_no_notes(empty_mongo: Mongo) -> None:
    with pytest.raises(IdempotencyConflict):
        await empty_mongo.note_request(KEY, uuid4().hex, "createCart/cart", "cart_1")


async def age(mongo: Mongo, hours: float) -> None:
    """Let the claim be that much older."""
    claims = mongo._db.idempotency
    found = await claims.find_one({"_id": KEY})
    assert found is not None
    older = {**found, "createdAt": found["createdAt"] - timedelta(hours=hours)}
    await claims.replace_one({"_id": KEY}, older)


async def test_an_answer_is_kept_for_a_day(empty_mongo: Mongo) -> None:
    await claim(empty_mongo, "1")
    await empty_mongo.keep_answer(KEY, "1", "{}")
    await claim(empty_mongo, "2", key=ANOTHER)
    await age(empty_mongo, 24.1)
    async with asyncio.timeout(90):  # the store looks every few seconds, a real one once a minute
        while (await claim(empty_mongo, "next")).attempt != "next":
            await asyncio.sleep(0.1)
    assert (await claim(empty_mongo, "3", key=ANOTHER)).attempt == "2"


async def test_a_claim_that_is_taken_over_has_its_day_from_then(empty_mongo: Mongo) -> None:
    await claim(empty_mongo, "dead", lease_s=-1)
    await age(empty_mongo, 23)
    assert (await claim(empty_mongo, "heir")).attempt == "heir"
    taken = await empty_mongo._db.idempotency.find_one({"_id": KEY})
    assert taken is not None
    assert datetime.now(UTC) - taken["createdAt"] < timedelta(seconds=30)
