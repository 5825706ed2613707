"""Making of a user whatever they lack in the backends, so that it can be repeated after anything.

In each backend their account is looked for before one is made, and linked as soon as there is one: what one backend
fails at costs nothing of the others, and another try finds what an earlier one left behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

from msgspec.structs import replace

from core import operation
from core.backends import BackendName
from core.errors import BackendError, BackendTimeout, BadUserInput, Conflict, NotFound
from core.person import Person
from datasources.mongo import LINKED_ACCOUNTS, LinkedAccountsRecord, UserRecord, UserStatus
from resolvers import linked_accounts, users
from resolvers.context import Context
from resolvers.linked_accounts import ACCOUNT_TAKEN, strangers_accounts
from resolvers.users import NewPerson

AT_WORK_S = 20.0
"""For all backends, side by side."""
LEASE_S = AT_WORK_S + 10.0
FIRST_WAIT_S, LONGEST_WAIT_S = 0.05, 0.5
"""Between looks whether somebody else who provisions the same user is done."""


class PartlyLinked:
    """Linked accounts of which some could not be had: reading such a one raises why."""

    def __init__(self, accounts: LinkedAccountsRecord, failures: Mapping[str, Exception]) -> None:
        self._accounts = accounts
        self._failures = failures

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self._failures:
            raise self._failures[name]
        return getattr(self._accounts, name)


async def create_user(ctx: Context, wanted: NewPerson, backends: Iterable[BackendName]) -> UserRecord:
    """Somebody new, and their accounts in these backends. They stay even where no account could be had.

    Raises as `users.create_user` does, and BadUserInput for a backend without accounts. The accounts that could not be
    had raise on their own, when they are read.
    """
    chosen = _provisioned(backends)
    made = await users.create_user(ctx, wanted)
    return await _provision(ctx, made.id, chosen) if chosen else made


async def provision_user(ctx: Context, id: str, backends: Iterable[BackendName] | None) -> UserRecord:
    """Accounts for a user in these backends, or in all that have some.

    Raises as `users.user_to_change` does, and BadUserInput for a backend without accounts and a user who is not active.
    The accounts that could not be had raise on their own, when they are read.
    """
    chosen = _provisioned(backends or ()) or list(_ACCOUNTS)
    target = await users.user_to_change(ctx, id)
    if target.status is not UserStatus.ACTIVE:
        raise BadUserInput("this user is not active")
    return await _provision(ctx, target.id, chosen)


def _provisioned(backends: Iterable[BackendName]) -> list[BackendName]:
    """Each once. Raises BadUserInput."""
    chosen = list(dict.fromkeys(backends))
    if none := [backend for backend in chosen if backend not in _ACCOUNTS]:
        told = f"{linked_accounts.names(none)} cannot be provisioned, only {linked_accounts.names(_ACCOUNTS)}"
        raise BadUserInput(told)
    return chosen


async def _provision(ctx: Context, id: str, backends: Sequence[BackendName]) -> UserRecord:
    async with _alone(ctx, id):
        before = await _as_it_is(ctx, id)
        missing = [backend for backend in backends if before.linked_accounts.of(backend) is None]
        outcomes = await asyncio.gather(*(_account(ctx, before, each) for each in missing), return_exceptions=True)
        after = await _as_it_is(ctx, id) if missing else before
    failures: dict[str, Exception] = {}
    for backend, outcome in zip(missing, outcomes, strict=True):
        if isinstance(outcome, Exception):
            failures[_ATTRIBUTES[backend]] = outcome
        elif outcome is not None:
            raise outcome
    if not failures:
        return after
    return replace(after, linked_accounts=cast("Any", PartlyLinked(after.linked_accounts, failures)))


async def _as_it_is(ctx: Context, id: str) -> UserRecord:
    found = await ctx.sources.mongo.user(id)
    if found is None:
        raise NotFound(users.NOBODY)
    return found


@asynccontextmanager
async def _alone(ctx: Context, id: str) -> AsyncIterator[None]:
    """While nobody else provisions this user: Fleetbase and Stripe would let two of them make two accounts.

    Raises Conflict when somebody else is not done in time.
    """
    mongo, name = ctx.sources.mongo, f"provisioning:{id}"
    wait_s, waited_s = FIRST_WAIT_S, 0.0
    while (holder := await mongo.lease(name, seconds=LEASE_S)) is None:
        left_s = operation.current().remaining_s()
        if waited_s >= LEASE_S or (left_s is not None and left_s <= wait_s):
            raise Conflict("this user is being provisioned; try again", retry_after_s=1)
        await asyncio.sleep(wait_s)
        waited_s, wait_s = waited_s + wait_s, min(2 * wait_s, LONGEST_WAIT_S)
    try:
        yield
    finally:
        with suppress(BackendError):  # It runs out.
            await mongo.end_lease(name, holder)


async def _account(ctx: Context, user: UserRecord, backend: BackendName) -> None:
    """Find or make it, and link it at once."""
    try:
        async with asyncio.timeout(AT_WORK_S):
            account_id = await _ACCOUNTS[backend](ctx, user)
            await linked_accounts.link(ctx, user, backend, account_id, replace=False)
    except TimeoutError as exc:
        raise BackendTimeout(backend, f"{backend.value} was not done in time") from exc


async def _in_medusa(ctx: Context, user: UserRecord) -> str:
    """The guest whom their carts find, else whoever has an account under their address."""
    medusa = ctx.sources.medusa
    found = await medusa.customers_by_email(user.email)
    found.sort(key=lambda row: (row.made_for != user.id, row.has_account))
    ours = [row.id for row in found if row.made_for in (None, user.id)]
    if (free := await _first_free(ctx, user, BackendName.MEDUSA, ours)) is not None:
        return free
    if any(not row.has_account for row in found):
        raise Conflict(ACCOUNT_TAKEN, source=BackendName.MEDUSA)
    made = await medusa.create_customer(_person(user))
    if made.made_for not in (None, user.id):  # by somebody else who was quicker
        raise Conflict(ACCOUNT_TAKEN, source=BackendName.MEDUSA)
    return made.id


async def _in_stripe(ctx: Context, user: UserRecord) -> str:
    """Only what was made for them: an address is nobody's alone there."""
    stripe, person = ctx.sources.stripe, _person(user)
    found = await stripe.customers_of(person)
    free = await _first_free(ctx, user, BackendName.STRIPE, found)
    return free if free is not None else await stripe.create_customer(person)


async def _in_erpnext(ctx: Context, user: UserRecord) -> str:
    """What carries their id, else what carries that of their customer in the shop."""
    erpnext, customer_id = ctx.sources.erpnext, user.linked_accounts.medusa_customer_id
    references = [user.id] if customer_id is None else [user.id, customer_id]
    found = await erpnext.customers_by_references(references)
    free = await _first_free(ctx, user, BackendName.ERPNEXT, found)
    return free if free is not None else await erpnext.create_customer(_person(user))


async def _in_fleetbase(ctx: Context, user: UserRecord) -> str:
    """Whoever was made for them, else whoever has their address and was made for nobody."""
    fleetbase = ctx.sources.fleetbase
    found = await fleetbase.contacts_by_email(user.email)
    found.sort(key=lambda row: row.made_for != user.id)
    ours = [row.id for row in found if row.made_for in (None, user.id)]
    if (free := await _first_free(ctx, user, BackendName.FLEETBASE, ours)) is not None:
        return free
    if any((row.name or "").casefold() == user.name.casefold() for row in found):
        # Making one would write over that one, which is somebody else's.
        raise Conflict(ACCOUNT_TAKEN, source=BackendName.FLEETBASE)
    return (await fleetbase.create_contact(_person(user))).id


async def _in_waltid(ctx: Context, user: UserRecord) -> str:
    """The wallet that is kept for them: its account is named by their id, so that there is never another."""
    return await ctx.sources.waltid.wallet(user.id, is_known=False)


async def _first_free(ctx: Context, user: UserRecord, backend: BackendName, account_ids: Sequence[str]) -> str | None:
    """The first of these that is nobody else's."""
    if not account_ids:
        return None
    taken = await strangers_accounts(ctx, user, backend, account_ids)
    return next((each for each in account_ids if each not in taken), None)


def _person(user: UserRecord) -> Person:
    return Person(user_id=user.id, name=user.name, email=user.email, phone=user.phone)


_ACCOUNTS: Mapping[BackendName, Callable[[Context, UserRecord], Awaitable[str]]] = {
    BackendName.MEDUSA: _in_medusa,
    BackendName.STRIPE: _in_stripe,
    BackendName.ERPNEXT: _in_erpnext,
    BackendName.FLEETBASE: _in_fleetbase,
    BackendName.WALTID: _in_waltid,
}
"""How each backend's account of a user is found or made."""

_ATTRIBUTES = dict(zip(LINKED_ACCOUNTS, LinkedAccountsRecord.__struct_fields__, strict=True))
