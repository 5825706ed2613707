"""The same person in each backend: who may be said to be which account."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.backends import BackendName
from core.errors import BadUserInput, Conflict, NotFound
from datasources.mongo import LINKED_ACCOUNTS, UserRecord
from resolvers import users
from resolvers._person import checked_account_id
from resolvers.audit import AuditEvent, audited
from resolvers.context import Context

ACCOUNT_TAKEN = "this account is another user's"


async def link_account(ctx: Context, id: str, backend: BackendName, account_id: str) -> UserRecord:
    """Say who a user is in a backend, instead of what was said before.

    Raises BadUserInput for a backend that knows no people and for what can be no id, NotFound for nobody, Conflict for
    an account that is somebody else's.
    """
    if backend not in LINKED_ACCOUNTS:
        raise BadUserInput(f"`backend` is one of {names(LINKED_ACCOUNTS)}: {backend.name} knows no people")
    checked = checked_account_id("accountId", account_id)
    target = await users.user(ctx, id)
    if target is None:
        raise NotFound(users.NOBODY)
    return await link(ctx, target, backend, checked, replace=True)


async def link(ctx: Context, target: UserRecord, backend: BackendName, account_id: str, *, replace: bool) -> UserRecord:
    """Unless `replace`, somebody who is linked already stays so. For a caller who may do it.

    Raises Conflict for an account that is somebody else's, telling nothing of them.
    """
    detail = {"backend": backend.name, "accountId": account_id}
    async with audited(ctx, AuditEvent.ACCOUNT_LINKED, "user", target.id, **detail):
        if await strangers_accounts(ctx, target, backend, [account_id]):
            raise Conflict(ACCOUNT_TAKEN, source=backend)
        with users.taken_means(ACCOUNT_TAKEN, source=backend):
            linked = await ctx.sources.mongo.link_account(target.id, backend, account_id, replace=replace)
    return await users.told(ctx, target.id, linked)


async def strangers_accounts(
    ctx: Context, target: UserRecord, backend: BackendName, account_ids: Sequence[str]
) -> set[str]:
    """Which of these accounts are somebody else's: linked to them, or in Medusa a customer through whose orders people
    of one client would see each other's."""
    mongo = ctx.sources.mongo
    others = [each for each in await mongo.users_by_accounts(backend, account_ids) if each.id != target.id]
    theirs = {each.linked_accounts.of(backend) for each in others}
    if backend is BackendName.MEDUSA:
        buyers = await mongo.users_by_medusa_customer_ids(account_ids)
        others = [each for each in buyers if each.id != target.id and each.client_id == target.client_id]
        theirs |= {customer_id for each in others for customer_id in each.medusa_customer_ids}
    return {account_id for account_id in account_ids if account_id in theirs}


def names(backends: Iterable[BackendName]) -> str:
    return ", ".join(backend.name for backend in backends)
