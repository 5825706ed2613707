"""Who makes a print job of a name: one at a time, in the real store."""

from __future__ import annotations

import asyncio

import pytest

from datasources.mongo import JobClaimRecord, Mongo

NAME = "5f0000000000000000000001"
"""One that could pass for an id of ours."""


async def claim(
    mongo: Mongo, attempt: str, *, maker: str = "m", lease_s: float = 60, name: str = NAME
) -> JobClaimRecord:
    return await mongo.claim_job(name, attempt=attempt, maker=maker, lease_s=lease_s)


async def test_of_many_who_ask_at_once_one_gets_it(empty_mongo: Mongo) -> None:
    claims = await asyncio.gather(*(claim(empty_mongo, f"a{n}", maker=f"m{n}") for n in range(12)))
    assert len({each.attempt for each in claims}) == 1
    assert sum(each.attempt == f"a{n}" for n, each in enumerate(claims)) == 1


async def test_a_claim_that_was_given_up_is_free(empty_mongo: Mongo) -> None:
    await claim(empty_mongo, "a")
    await empty_mongo.give_up_job(NAME, "somebody else")
    assert (await claim(empty_mongo, "b")).attempt == "a"
    await empty_mongo.give_up_job(NAME, "a")
    taken = await claim(empty_mongo, "b")
    assert (taken.attempt, taken.earlier_maker) == ("b", None)


@pytest.mark.parametrize("how", ["settled", "run out"])
async def test_a_claim_that_is_not_held_goes_to_the_next_who_learns_whose_it_was(empty_mongo: Mongo, how: str) -> None:
    await claim(empty_mongo, "a", maker="first", lease_s=-1 if how == "run out" else 60)
    if how == "settled":
        await empty_mongo.settle_job(NAME, "a")
    claims = await asyncio.gather(*(claim(empty_mongo, f"b{n}", maker="second") for n in range(6)))
    assert len({each.attempt for each in claims}) == 1
    assert {each.earlier_maker for each in claims} == {"first"}
    await empty_mongo.settle_job(NAME, "a")
    assert (await claim(empty_mongo, "c")).attempt == claims[0].attempt


async def test_a_doubt_is_known_to_the_next_and_holds(empty_mongo: Mongo) -> None:
    await claim(empty_mongo, "a")
    await empty_mongo.doubt_job(NAME, "somebody else")
    assert not (await claim(empty_mongo, "b")).is_in_doubt
    await empty_mongo.doubt_job(NAME, "a")
    held = await claim(empty_mongo, "b")
    assert (held.attempt, held.is_in_doubt, held.maker) == ("a", True, "m")


async def test_names_are_claimed_apart(empty_mongo: Mongo) -> None:
    assert (await claim(empty_mongo, "a")).attempt == "a"
    assert (await claim(empty_mongo, "b", name="Another")).attempt == "b"
