"""Print jobs: whose they are, how they are listed, made and changed.

A job is whose its customer is (see `print_customers`); one without customer is of whom the ownership collection names.

A name (`jobId`) belongs to one job, and Strapi does not see to it when two ask at once. So whoever makes a job first
claims its name in the core store, then looks whether it is there, then makes it. A claim whose outcome is not known
stays held for as long as the call may still arrive; its own maker finds what it has left behind.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from uuid import uuid4

from core import operation
from core.backends import BackendName
from core.errors import BackendRejected, BadUserInput, Conflict, GatewayError, NotFound
from datasources.mongo import JobClaimRecord
from datasources.strapi import TAKEN, JobRecord, JobSelection, NewJob, chunks
from resolvers._print_pages import cut, merged, place_of
from resolvers.bounds import check_length, checked_text
from resolvers.context import Context, OneByKey
from resolvers.pages import Page, checked_first
from resolvers.print_customers import (
    JobCustomerById,
    OwnedPrintRows,
    OwnerOfPrintRow,
    customer_ids_of,
    may_see_row,
)

JOB, JOB_WITHOUT_CUSTOMER = "job", "job without customer"
"""Kinds of ownership."""
MAX_IDS = 100
LONGEST_JOB_ID, LONGEST_STATUS = 64, 64
LEASE_S = 60.0
"""Of a claim, where the operation has no deadline."""
MARGIN_S = 20.0
"""What a lease is longer than the deadline."""
SETTLING_S = 5.0
"""For the last word about a claim."""
NO_JOB = "there is no such job"


@dataclass(frozen=True)
class JobWanted:
    """What a list of jobs is narrowed to; None: not at all. `status` is the print shop's word."""

    status: str | None = None
    ids: Sequence[str] | None = None


@dataclass(frozen=True)
class JobToMake:
    """`job_id` None: one is made up. `status` None: the print shop's default."""

    quantity: int
    job_id: str | None = None
    customer_id: str | None = None
    status: str | None = None


class JobById(OneByKey[str, JobRecord]):
    """A job that the principal may see."""

    async def fetch(self, keys: list[str]) -> list[JobRecord]:
        rows = {row.id: row for row in await self.sources.strapi.jobs_by_ids(keys)}
        seen = await asyncio.gather(*(may_see(self.ctx, key, rows.get(key)) for key in keys))
        return [rows[key] for key, is_seen in zip(keys, seen, strict=True) if is_seen]

    def key(self, row: JobRecord) -> str:
        return row.id


async def may_see(ctx: Context, id: str, row: JobRecord | None) -> bool:
    """One that is not there (None) is looked for as long as a stranger's, so that time does not tell them apart."""
    decides = row.customer_id if row is not None and row.customer_id is not None else id
    return await may_see_row(ctx, decides) and row is not None


# -- reading -----------------------------------------------------------------------------------------------------------


async def job(ctx: Context, id: str) -> JobRecord | None:
    """None for one that is not there, or not theirs."""
    return await ctx.loader(JobById).load(id)


async def jobs(ctx: Context, *, first: int | None, after: str | None, wanted: JobWanted) -> Page[JobRecord]:
    """Newest first. Raises BadUserInput for more than 100 ids."""
    limit, behind = checked_first(first), place_of(after)
    if wanted.ids is not None:
        check_length("ids", wanted.ids, MAX_IDS)
        named = await ctx.loader(JobById).load_many(list(dict.fromkeys(wanted.ids)))
        return cut([row for row in named if row is not None and wanted.status in (None, row.status)], limit, behind)
    customer_ids, without_customer = await asyncio.gather(
        customer_ids_of(ctx), ctx.loader(OwnedPrintRows).load(JOB_WITHOUT_CUSTOMER)
    )
    selections = [JobSelection(status=wanted.status)]
    if customer_ids is not None:
        selections = [JobSelection(tuple(some), status=wanted.status) for some in chunks(customer_ids)]
        selections += [JobSelection(ids=tuple(some), status=wanted.status) for some in chunks(without_customer)]
    theirs = None if customer_ids is None else frozenset((None, *customer_ids))

    def is_shown(row: JobRecord) -> bool:
        """The print shop may have found a customer for one that had none."""
        return theirs is None or row.customer_id in theirs

    return await merged([partial(ctx.sources.strapi.jobs, each) for each in selections], limit, behind, is_shown)


# -- changing ----------------------------------------------------------------------------------------------------------


async def update_job(ctx: Context, id: str, *, quantity: int | None, status: str | None) -> JobRecord:
    """What is None stays as it is. Raises NotFound for one that is not theirs, BadUserInput for no quantity."""
    quantity = None if quantity is None else _checked_quantity(quantity)
    status = None if status is None else checked_text("status", status, LONGEST_STATUS)
    there = await job(ctx, id)
    if there is not None and (quantity, status) != (None, None):
        there = await ctx.sources.strapi.update_job(id, quantity=quantity, status=status)
    ctx.loader(JobById).clear(id)
    if there is None:
        raise NotFound(NO_JOB)
    return there


async def create_job(ctx: Context, wanted: JobToMake) -> JobRecord:
    """A new job; under the same idempotency key the one that was made.

    Raises Conflict where there is a job of this name, or somebody is making one; NotFound for a customer who is not
    theirs; BadUserInput for what makes no sense, and for a platform that names no customer, for nobody could see what
    it makes.
    """
    new = NewJob(
        job_id=_job_id(ctx, wanted.job_id),
        quantity=_checked_quantity(wanted.quantity),
        customer_id=wanted.customer_id,
        status=None if wanted.status is None else checked_text("status", wanted.status, LONGEST_STATUS),
    )
    if new.customer_id is None:
        if ctx.principal.client_id is None and not ctx.principal.is_service:
            raise BadUserInput("`customerId` is needed: a platform's own job would be of no client")
    elif await ctx.loader(JobCustomerById).load(new.customer_id) is None:
        raise NotFound("there is no such customer")
    made = await _made_once(ctx, new)
    ctx.loader(JobById).clear(made.id)
    ctx.loader(OwnerOfPrintRow).clear(made.id)
    ctx.loader(OwnedPrintRows).clear(JOB_WITHOUT_CUSTOMER)
    return made


async def _made_once(ctx: Context, new: NewJob) -> JobRecord:
    """The job, made by this or left behind by an earlier try of the same maker. See the module."""
    mongo, attempt, maker = ctx.sources.mongo, uuid4().hex, ctx.idempotency_key() or ctx.principal.id
    left_s = operation.current().remaining_s()
    lease_s = LEASE_S if left_s is None else left_s + MARGIN_S
    claim = await mongo.claim_job(new.job_id, attempt=attempt, maker=maker, lease_s=lease_s)
    if claim.attempt != attempt:
        return await _left_in_doubt(ctx, new, claim, maker)
    is_again = claim.earlier_maker == maker
    last_word = mongo.doubt_job if is_again else mongo.give_up_job
    try:
        made = await _left_behind(ctx, new, is_ours=is_again)
        if made is None:
            last_word = mongo.doubt_job
            made = await ctx.sources.strapi.create_job(new)
        await _record(ctx, made)
        last_word = mongo.settle_job if ctx.idempotency_key() else mongo.give_up_job
    except (BackendRejected, Conflict):
        last_word = mongo.give_up_job
        raise
    finally:
        await _say(last_word(new.job_id, attempt))
    return made


async def _left_behind(ctx: Context, new: NewJob, *, is_ours: bool) -> JobRecord | None:
    """What an earlier try has made; None where there is no job of this name. Raises Conflict for anybody else's."""
    there = await ctx.sources.strapi.job_by_job_id(new.job_id)
    if there is not None and not (is_ours and new.is_like(there)):
        raise Conflict(TAKEN)
    return there


async def _say(last_word: Awaitable[None]) -> None:
    """Say what became of a claim, whatever is left of the deadline. Where that fails it ends with its lease."""
    running = replace(operation.current(), deadline=time.monotonic() + SETTLING_S)

    async def say() -> None:
        operation.enter(running)
        with suppress(GatewayError):
            await last_word

    await asyncio.shield(asyncio.create_task(say()))


async def _left_in_doubt(ctx: Context, new: NewJob, claim: JobClaimRecord, maker: str) -> JobRecord:
    """What an earlier try of this maker has made, though it did not hear of it. Raises Conflict for anything else."""
    if claim.is_in_doubt and claim.maker == maker:
        there = await ctx.sources.strapi.job_by_job_id(new.job_id)
        if there is not None and new.is_like(there):
            await _record(ctx, there)
            return there
    wait_s = max(1.0, claim.held_until - time.time()) if claim.is_in_doubt else 1.0
    raise Conflict("a job with this `jobId` is being made", retry_after_s=wait_s)


async def _record(ctx: Context, made: JobRecord) -> None:
    """Of a service's own there is nothing to say."""
    whose, mongo = ctx.principal, ctx.sources.mongo
    if whose.client_id is not None:
        kind = JOB if made.customer_id is not None else JOB_WITHOUT_CUSTOMER
        await mongo.record_ownership(BackendName.STRAPI, made.id, whose.client_id, whose.user_id, kind=kind)


def _job_id(ctx: Context, named: str | None) -> str:
    if named is not None:
        return checked_text("jobId", named, LONGEST_JOB_ID)
    return f"JOB-{(ctx.idempotency_key() or uuid4().hex)[:16].upper()}"


def _checked_quantity(quantity: int) -> int:
    if quantity < 1:
        raise BadUserInput("`quantity` is at least 1")
    return quantity
